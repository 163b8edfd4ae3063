"""What a run leaves behind: metrics, the run folder, figures."""
