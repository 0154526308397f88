"""The classic recipes in Keras 3 / TensorFlow 2, as in their tutorials; prints seconds a step as JSON.

    python keras_peer.py RECIPE STEPS WARM_UP      # in an environment with tensorflow-cpu 2.21

Each training step is one `tf.function` over batches of a `tf.data` pipeline that shuffles the whole set, as
the DCGAN tutorial has it, for all recipes: the fastest of the ways in which Keras users write them.
"""

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

K, L = tf.keras, tf.keras.layers
one, zero = tf.ones_like, tf.zeros_like


def leaky(slope):
    return L.LeakyReLU(negative_slope=slope)


def tutorial_dcgan():
    g = [
        K.Input((100,)),
        L.Dense(7 * 7 * 256, use_bias=False),
        L.BatchNormalization(),
        leaky(0.3),
        L.Reshape((7, 7, 256)),
    ]
    for channels, stride in ((128, 1), (64, 2)):
        g += [L.Conv2DTranspose(channels, 5, strides=stride, padding="same", use_bias=False)]
        g += [L.BatchNormalization(), leaky(0.3)]
    g += [L.Conv2DTranspose(1, 5, strides=2, padding="same", use_bias=False, activation="tanh")]
    d = [K.Input((28, 28, 1))]
    for channels in (64, 128):
        d += [L.Conv2D(channels, 5, strides=2, padding="same"), leaky(0.3), L.Dropout(0.3)]
    return K.Sequential(g), K.Sequential([*d, L.Flatten(), L.Dense(1)])


def keras_cnn():
    g = [K.Input((100,)), L.Dense(128 * 7 * 7), leaky(0.2), L.Reshape((7, 7, 128))]
    for _ in range(2):
        g += [L.Conv2DTranspose(128, 4, strides=2, padding="same"), leaky(0.2)]
    g += [L.Conv2D(1, 7, padding="same", activation="sigmoid")]
    d = [K.Input((28, 28, 1))]
    for _ in range(2):
        d += [L.Conv2D(64, 3, strides=2, padding="same"), leaky(0.2), L.Dropout(0.4)]
    return K.Sequential(g), K.Sequential([*d, L.Flatten(), L.Dense(1, activation="sigmoid")])


def mlp():
    g = [K.Input((100,))]
    for width in (256, 512, 1024):
        g += [L.Dense(width), leaky(0.2), L.BatchNormalization(momentum=0.8)]
    g += [L.Dense(784, activation="tanh"), L.Reshape((28, 28, 1))]
    d = [K.Input((28, 28, 1)), L.Flatten(), L.Dense(512), leaky(0.2), L.Dense(256), leaky(0.2)]
    return K.Sequential(g), K.Sequential([*d, L.Dense(1, activation="sigmoid")])


def tf1_dcgan():
    def norm():
        return L.BatchNormalization(momentum=0.9, epsilon=1e-5)

    g = [K.Input((100,)), L.Dense(1024), norm(), L.ReLU(), L.Dense(128 * 7 * 7), norm(), L.ReLU()]
    g += [L.Reshape((7, 7, 128)), L.Conv2DTranspose(64, 4, strides=2, padding="same"), norm(), L.ReLU()]
    g += [L.Conv2DTranspose(1, 4, strides=2, padding="same", activation="sigmoid")]
    d = [K.Input((28, 28, 1)), L.Conv2D(64, 4, strides=2, padding="same"), leaky(0.2)]
    d += [L.Conv2D(128, 4, strides=2, padding="same"), norm(), leaky(0.2), L.Flatten()]
    d += [L.Dense(1024), norm(), leaky(0.2), L.Dense(1)]
    return K.Sequential(g), K.Sequential(d)


def simultaneous(g, d, ce, go, do):
    @tf.function
    def step(real):
        z = tf.random.normal([256, 100])
        with tf.GradientTape() as a, tf.GradientTape() as b:
            fake = g(z, training=True)
            r, f = d(real, training=True), d(fake, training=True)
            loss_g, loss_d = ce(one(f), f), ce(one(r), r) + ce(zero(f), f)
        gg, dg = a.gradient(loss_g, g.trainable_variables), b.gradient(loss_d, d.trainable_variables)
        go.apply_gradients(zip(gg, g.trainable_variables))
        do.apply_gradients(zip(dg, d.trainable_variables))
        return loss_g

    return step


def generator_turn(g, d, ce, go, z):
    with tf.GradientTape() as a:
        f = d(g(z, training=True), training=True)
        loss = ce(one(f), f)
    go.apply_gradients(zip(a.gradient(loss, g.trainable_variables), g.trainable_variables))
    return loss


def learn(d, do, tape, loss):
    do.apply_gradients(zip(tape.gradient(loss, d.trainable_variables), d.trainable_variables))


def mixed(g, d, ce, go, do):
    @tf.function
    def step(real):
        x = tf.concat([real, g(tf.random.normal([128, 100]), training=False)], 0)
        y = tf.concat([tf.ones((128, 1)), tf.zeros((128, 1))], 0)
        with tf.GradientTape() as b:
            loss = ce(y, d(x, training=True))
        learn(d, do, b, loss)
        return generator_turn(g, d, ce, go, tf.random.normal([256, 100]))

    return step


def separate(g, d, ce, go, do):
    @tf.function
    def step(real):
        fake = g(tf.random.normal([1024, 100]), training=False)
        with tf.GradientTape() as b:
            r = d(real, training=True)
            loss = ce(one(r), r)
        learn(d, do, b, loss)
        with tf.GradientTape() as b:
            f = d(fake, training=True)
            loss = ce(zero(f), f)
        learn(d, do, b, loss)
        return generator_turn(g, d, ce, go, tf.random.normal([1024, 100]))

    return step


def alternating(g, d, ce, go, do):
    @tf.function
    def step(real):
        z = tf.random.uniform([256, 100], -1, 1)
        fake = g(z, training=True)
        with tf.GradientTape() as b:
            r, f = d(real, training=True), d(fake, training=True)
            loss = ce(one(r), r) + ce(zero(f), f)
        learn(d, do, b, loss)
        return generator_turn(g, d, ce, go, z)

    return step


RECIPES = {  # networks, rule, logits, G's and D's Adam, real images a batch
    "tutorial-dcgan": (tutorial_dcgan, simultaneous, True, (1e-4, 0.9), (1e-4, 0.9), 256),
    "keras-cnn": (keras_cnn, mixed, False, (2e-4, 0.5), (2e-4, 0.5), 128),
    "mlp": (mlp, separate, False, (2e-4, 0.5), (2e-4, 0.5), 1024),
    "tf1-dcgan": (tf1_dcgan, alternating, True, (1e-3, 0.5), (2e-4, 0.5), 256),
}


def main():
    name, steps, warmup = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    networks, rule, logits, for_g, for_d, batch = RECIPES[name]
    g, d = networks()
    ce = K.losses.BinaryCrossentropy(from_logits=logits)
    step = rule(g, d, ce, K.optimizers.Adam(*for_g), K.optimizers.Adam(*for_d))
    images = np.random.default_rng(0).random((60_000, 28, 28, 1), np.float32)
    batches = (
        tf.data.Dataset.from_tensor_slices(images).shuffle(60_000).batch(batch, drop_remainder=True).repeat()
    )
    seconds, began = [], None
    for i, real in enumerate(batches):
        if i == warmup + steps:
            break
        began = time.perf_counter()
        float(step(real))  # waits until it is done
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"version": f"TensorFlow {tf.__version__}", "seconds": seconds[warmup:]}))


if __name__ == "__main__":
    main()
