"""What DynamoDB's and S3's stores ask of boto3."""

from __future__ import annotations

from botocore.exceptions import ClientError


def was_repeated(error: ClientError) -> bool:
    """Whether boto3 had sent the request before, and got no answer or one that said to try again."""
    return bool(error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0))
