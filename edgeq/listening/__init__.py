"""`edgeq listen`: a sound goes to a board hop by hop, and what it hears comes back."""

from edgeq.listening.listener import ListenRequest, Watch, listen

__all__ = ["ListenRequest", "Watch", "listen"]
