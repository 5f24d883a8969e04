"""A second client of an S3 service: bucket.py ENDPOINT KEY SECRET make|list|get|uploads BUCKET [NAME FILE]."""

import json
import sys

import boto3
from botocore.config import Config

endpoint, key, secret, act, bucket, *rest = sys.argv[1:]
client = boto3.client(
    "s3",
    endpoint_url=endpoint,
    region_name="us-east-1",
    aws_access_key_id=key,
    aws_secret_access_key=secret,
    config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 8}),
)
if act == "make":
    client.create_bucket(Bucket=bucket)
    print("{}")
elif act == "list":
    found = client.list_objects_v2(Bucket=bucket).get("Contents", [])
    print(json.dumps({it["Key"]: it["Size"] for it in found}))
elif act == "uploads":
    found = client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    print(json.dumps([it["Key"] for it in found]))
elif act == "begin":
    client.create_multipart_upload(Bucket=bucket, Key=rest[0])
    print("{}")
elif act == "get":
    client.download_file(bucket, rest[0], rest[1])
    print("{}")
elif act == "put":
    client.upload_file(rest[1], bucket, rest[0])
    print("{}")
