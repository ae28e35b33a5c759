"""The route table by feature: each module gives the routes of one; `server/app.py` joins them to the one table."""
