"""Generated figures: a body of 24 parts with charts and a mesh, and images of it."""
