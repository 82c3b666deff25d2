"""What the demo model can talk about: each subject makes conversations from templates."""
