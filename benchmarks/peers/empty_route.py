"""An empty FastAPI route: what the framework itself costs."""

from fastapi import FastAPI

app = FastAPI()


@app.post("/predict")
async def predict() -> dict[str, str]:
    """Nothing."""
    return {}
