"""The first configuration of a station: asked for, each answer tried as it is given, and written with comments."""
