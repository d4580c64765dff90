"""Asyncio helpers that the standard library lacks: cancellation, the event loop, signals."""
