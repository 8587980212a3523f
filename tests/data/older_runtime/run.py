"""Runs a .tflite in TensorFlow Lite, composed as an app does; prints the embeddings as JSON.

Usage: run.py ENCODER.tflite GOLDEN.npz ROWS
"""

import json
import sys

import numpy as np
import tensorflow as tf

path, golden, rows = sys.argv[1], np.load(sys.argv[2], allow_pickle=False), int(sys.argv[3])
interpreter = tf.lite.Interpreter(path)
vision, text, fuse = (interpreter.get_signature_runner(name) for name in ("vision", "text", "fuse"))
embeddings = []
for row in range(rows):
    image, ids, mask, user = (
        golden[n][row : row + 1] for n in ("image", "input_ids", "attention_mask", "user")
    )
    length = int(mask.sum())  # a text needs no padding
    screen, typed = vision(image=image), text(input_ids=ids[:, :length], attention_mask=mask[:, :length])
    tokens = {"screen_tokens": screen["screen_tokens"], **typed}
    embeddings.append(fuse(**tokens, user=user)["embedding"][0].tolist())
print(json.dumps({"version": tf.__version__, "embeddings": embeddings}))
