"""The six questions that a bundle has to answer before it ships, each with a measured value."""
