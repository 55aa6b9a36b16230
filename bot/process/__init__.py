"""The parts of a process, the objects of each workspace, and several processes as one."""
