"""Why a run does not learn, or is slow: what is known of it, the rules, the findings in order."""
