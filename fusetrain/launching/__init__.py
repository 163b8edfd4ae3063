"""Starting the ranks of a run on this host, and watching over them."""
