"""What drills break on purpose: locks, pools, triggers, the connection itself."""
