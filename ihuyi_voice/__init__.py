"""Asyncio client SDK for the 互亿无线 (ihuyi) voice-notification API."""
