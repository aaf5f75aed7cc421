"""Where images and sound come from: media files, cameras and microphones."""
