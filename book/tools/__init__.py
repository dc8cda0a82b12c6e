"""What turns notebooks and pages into the website: run, make static, assemble, build, serve."""
