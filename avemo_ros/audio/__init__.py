"""Sound: decoding, sample time, resampling, speech probability and log spectrogram."""
