"""What builds files of the repository; not part of the package."""
