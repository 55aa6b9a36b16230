"""The worker process: claims threads and runs their turns."""
