"""From probability maps to particle centers."""
