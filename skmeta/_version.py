"""The version of skmeta, read by the build and by `show_versions`."""

__version__ = "0.1.0.dev0"
