"""Asyncio, where its own tools leave gaps: cancellation, the event loop, signals."""
