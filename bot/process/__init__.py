"""What a process consists of: the parts of a worker and of a workspace, and several processes."""
