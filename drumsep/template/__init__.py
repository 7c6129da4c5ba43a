"""The default model: hits, templates of many kits fitted to the recording, masks."""
