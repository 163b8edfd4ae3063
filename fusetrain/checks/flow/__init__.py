"""How checks run: in child processes, over columns of facts, in shards that can be joined."""
