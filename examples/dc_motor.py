"""Identify a DC motor with an LSTM, export it, and control motor and model with one PID.

    python examples/dc_motor.py --out DIR

The motor has Coulomb friction: below 1.2 V it hardly turns.  Its voltage and its noisy
speed are all that the training sees.  The trained network is saved as C99 and as a model file with
its workspace; a PID controller is designed on its linearization, and runs in bdsim against the
motor (continuous blocks) and against the network.
"""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from rich.console import Console
from rich.table import Table
from scipy.signal import chirp, lfilter

import lstmsim as ls
from lstmsim.plotting.style import COLOURS, STYLE

#: Held voltages and measured speeds of experiments, each of shape (B, T, 1).
Data = tuple[np.ndarray, np.ndarray]
say = partial(Console(highlight=False).print, soft_wrap=True)

Ts = 0.02  # s
SUPPLY = 12.0  # V, in both directions
NOISE = 0.5  # rad/s, standard deviation of the measured speed
UNITS = 10  # of the LSTM
OPERATING_VOLTAGE = 6.0  # V, where the network is linearized
CROSSOVER = 12.0  # rad/s, of the loop that the controller is designed for


@dataclass(frozen=True)
class Motor:
    """L i' = v - R i - K w, J w' = K i - b w - friction tanh(w / edge)."""

    R: float = 2.0  # Ω, armature resistance
    L: float = 0.02  # H, armature inductance
    K: float = 0.05  # N·m/A, torque constant, and V·s/rad, back-emf constant
    J: float = 2e-4  # kg·m², inertia
    b: float = 1e-4  # N·m·s/rad, viscous friction
    friction: float = 0.03  # N·m, Coulomb friction
    edge: float = 2.0  # rad/s, where Coulomb friction is at 76 % of its value

    def frequency_response(self, w: float) -> complex:
        """Return speed by voltage where Coulomb friction is a constant torque.

        Sampled, from the voltage that was held until the sample: as the network sees it.
        """
        import control

        A = [[-self.R / self.L, -self.K / self.L], [self.K / self.J, -self.b / self.J]]
        motor = control.ss(A, [[1 / self.L], [0]], [[0, 1]], 0)
        z = np.exp(1j * w * Ts)
        return complex(z * control.c2d(motor, Ts)(z))


# -- diagrams --------------------------------------------------------------------------------------


def diagram() -> Any:
    """Return an empty diagram whose continuous blocks are integrated closely."""
    bd = ls.blockdiagram()
    bd.runtime.options.rtol = bd.runtime.options.atol = 1e-5  # bdsim's own is 1e-3
    return bd


def gain(bd: Any, start: Any, factor: float, name: str) -> Any:
    """Wire a gain behind a block, and return it."""
    block = bd.GAIN(factor, name=name)
    bd.connect(start, block)
    return block


def total(bd: Any, signs: str, terms: list[Any], name: str) -> Any:
    """Wire a sum of blocks, and return it."""
    block = bd.SUM(signs, name=name)
    for port, term in enumerate(terms):
        bd.connect(term, block[port])
    return block


def wire_motor(bd: Any, clock: Any, voltage: Any, motor: Motor, width: int = 1) -> Any:
    """Wire the motor, continuous blocks of bdsim, and return the block that drives its speed.

    The clock is not needed.  Signals may be vectors: then there are as many motors.
    """
    current, speed = (bd.INTEGRATOR(np.zeros(width), name=name) for name in ("current", "speed"))
    drop, emf = gain(bd, current, motor.R, "R i"), gain(bd, speed, motor.K, "emf")
    inductor = total(bd, "+--", [voltage, drop, emf], "inductor voltage")
    bd.connect(gain(bd, inductor, 1 / motor.L, "di"), current)
    sign = bd.TANH(name="sign of speed")
    bd.connect(gain(bd, speed, 1 / motor.edge, "speed by edge"), sign)
    torques = [
        gain(bd, current, motor.K, "motor torque"),
        gain(bd, speed, motor.b, "viscous friction"),
        gain(bd, sign, motor.friction, "Coulomb friction"),
    ]
    bd.connect(gain(bd, total(bd, "+--", torques, "net torque"), 1 / motor.J, "dspeed"), speed)
    return speed


def wire_network(bd: Any, clock: Any, voltage: Any, network: ls.Network) -> Any:
    """Wire the network in the motor's place, and return the block that drives its speed."""
    speed = bd.MATRIXGAIN(network.head.F, name="speed")
    bd.connect(ls.lstm_layer(bd, clock, voltage, network.recurrent[0]), speed)
    return speed


WIRE: dict[type, Any] = {Motor: wire_motor, ls.Network: wire_network}


def open_loop(motor: Motor, voltages: np.ndarray) -> xr.Dataset:
    """Run motors from rest on voltages (T, B), each held for a sample."""
    width = voltages.shape[1]
    bd = diagram()
    clock = bd.clock(Ts, name="clock")
    hold = bd.UNITDELAY(clock, np.zeros(width), name="hold")
    bd.connect(bd.FROMWORKSPACE(clock, values=voltages, name="voltage"), hold)
    bd.connect(wire_motor(bd, clock, hold, motor, width), bd.TOWORKSPACE(clock, name="out"))
    return ls.simulate(bd)


def closed_loop(plant: Motor | ls.Network, gains: np.ndarray) -> Any:
    """Return motor or network in closed loop with a sampled PID controller, as a diagram.

    bdsim's PID_S is a subsystem, and sampled blocks in a subsystem do not run: it is wired in
    place, u = kp e + sum of ki Ts e + kd (e - e before) / Ts, within what the supply gives.
    """
    kp, ki, kd = map(float, gains)
    bd = diagram()
    clock = bd.clock(Ts, name="clock")
    hold = bd.UNITDELAY(clock, [0.0], name="hold")
    speed = WIRE[type(plant)](bd, clock, hold, plant)
    reference = bd.FROMWORKSPACE(clock, width=1, name="reference")
    error = total(bd, "+-", [reference, speed], "error")

    stored, before = (bd.UNITDELAY(clock, [0.0], name=name) for name in ("stored", "before"))
    integral = bd.CLIP(min=-SUPPLY, max=SUPPLY, name="integral")  # so that it does not wind up
    bd.connect(total(bd, "++", [stored, gain(bd, error, ki * Ts, "I")], "integrated"), integral)
    bd.connect(integral, stored)
    bd.connect(error, before)
    difference = total(bd, "+-", [error, before], "difference")
    terms = [gain(bd, error, kp, "P"), integral, gain(bd, difference, kd / Ts, "D")]
    voltage = bd.CLIP(min=-SUPPLY, max=SUPPLY, name="voltage")
    bd.connect(total(bd, "+++", terms, "PID"), voltage)
    bd.connect(voltage, hold)
    bd.connect(speed, bd.TOWORKSPACE(clock, name="out"))
    return bd


# -- identification --------------------------------------------------------------------------------


def levels(random: np.random.Generator, experiments: int, samples: int = 150) -> np.ndarray:
    """Return random levels, each held for a random time (0.04 to 0.8 s), shape (T, B)."""
    columns = []
    for _ in range(experiments):
        values = random.uniform(-SUPPLY, SUPPLY, samples)
        columns.append(np.repeat(values, random.integers(2, 41, samples))[:samples])
    return np.stack(columns, axis=1)


def experiment(motor: Motor, voltages: np.ndarray, random: np.random.Generator) -> Data:
    """Return what is measured of runs from rest, (B, T, 1): held voltages and noisy speeds."""
    run = open_loop(motor, voltages)
    speed = run.speed.values + NOISE * random.standard_normal(voltages.shape)
    return run.hold.values.T[:, :, None], speed.T[:, :, None]


def identify(train: Data, validation: Data, epochs: int) -> tuple[ls.Network, ls.TrainingResult]:
    """Train a network on voltages and speeds; it takes volts, and gives rad/s.

    For training voltages are divided by the supply's, and speeds by their standard deviation;
    afterwards both go into the weights W and F.
    """
    random = np.random.default_rng(1)
    W, R, F = (
        scale * random.standard_normal(shape)
        for scale, shape in (
            (1.0, (4 * UNITS, 1)),
            (0.5 / math.sqrt(UNITS), (4 * UNITS, UNITS)),
            (1 / math.sqrt(UNITS), (1, UNITS)),
        )
    )
    b = np.repeat([0.0, 1.0, 0.0, 0.0], UNITS)  # the forget gates begin open
    scale = float(train[1].std())
    result = ls.fit(
        ls.Network([ls.LSTM(W, R, b), ls.Dense(F)], Ts=Ts),
        train[0] / SUPPLY,
        train[1] / scale,
        validation=(validation[0] / SUPPLY, validation[1] / scale),
        epochs=epochs,
        learning_rate=0.03,
        schedule=ls.training.Cosine(),
        clip=1.0,
        patience=1000,
    )
    (layer,), head = result.network.recurrent, result.network.head
    scaled = [ls.LSTM(layer.W / SUPPLY, layer.R, layer.b), ls.Dense(head.F * scale)]
    return ls.Network(scaled, Ts=Ts), result


def linear_model(train: Data, voltages: np.ndarray) -> np.ndarray:
    """Return the free run of a linear model of second order, fitted by least squares (ARX)."""
    u, y = train
    past = np.concatenate([y[:, 1:-1], y[:, :-2], u[:, 2:], u[:, 1:-1]], axis=2).reshape(-1, 4)
    a1, a2, b0, b1 = np.linalg.lstsq(past, y[:, 2:].reshape(-1), rcond=None)[0]
    return np.asarray(lfilter([b0, b1], [1, -a1, -a2], voltages, axis=1))


def fit_figures(measured: np.ndarray, simulated: np.ndarray) -> tuple[float, float]:
    """Return the fit in per cent: 1 - NRMSE, and the variance accounted for."""
    error = measured - simulated
    nrmse = np.linalg.norm(error) / np.linalg.norm(measured - measured.mean())
    return 100 * (1 - float(nrmse)), 100 * (1 - float(error.var() / measured.var()))


# -- export ----------------------------------------------------------------------------------------


def export(network: ls.Network, voltage: np.ndarray, folder: Path) -> str:
    """Write the network as C and as a model file with its workspace; return what C's test says."""
    diagram = ls.build(network)
    rows = {gate: f"[{k}*len(h0):{k + 1}*len(h0)]" for k, gate in enumerate("ifgo")}
    expressions = {"h_prev": {"x0": "=h0"}, "c_prev": {"x0": "=c0"}, "y": {"K": "=F"}}
    expressions["u"] = {"values": "=u", "width": ""}
    for gate, part in rows.items():
        expressions |= {f"{name}{gate}": {"K": f"={name}{part}"} for name in "WR"}
        expressions[f"b{gate}"] = {"value": f"=b{part}"}
    ls.save(diagram, folder / "dc_motor.bd", expressions=expressions)
    arrays = {name: getattr(network.recurrent[0], name) for name in ("W", "R", "b", "h0", "c0")}
    arrays |= {"F": network.head.F, "Ts": network.Ts, "u": voltage}
    ls.save_workspace(arrays, folder / "dc_motor.npz")

    ls.compile(diagram, "float32").to_c(folder / "dc_motor.c", test=voltage)
    if shutil.which("gcc") is None:
        return ""
    command = ["gcc", "-std=c99", "-O2", "-DDC_MOTOR_MAIN", "dc_motor.c", "-o", "dc_motor", "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    test = subprocess.run([folder.resolve() / "dc_motor"], capture_output=True, text=True)
    return test.stdout.strip()


# -- control ---------------------------------------------------------------------------------------


def linearized(network: ls.Network) -> Any:
    """Return the network linearized where the operating voltage brings it: a StateSpace."""
    diagram = ls.build(network)
    traces = ls.compile(diagram).run(np.full((500, 1), OPERATING_VOLTAGE))
    return ls.linearize(diagram, traces, sample=499)


def design(system: Any) -> np.ndarray:
    """Return the gains kp, ki, kd that bring the loop closest to an integrator.

    The loop gain is P C, P the system behind the hold and C = kp + ki Ts z/(z - 1) +
    kd (z - 1)/(Ts z); the integrator is CROSSOVER Ts/(z - 1), which gives a closed loop of first
    order (lambda tuning).  C is linear in its gains: least squares over the frequencies.
    """
    w = CROSSOVER * np.geomspace(0.05, 2.5, 60)
    z = np.exp(1j * w * Ts)
    terms = np.array([np.ones_like(z), Ts * z / (z - 1), (z - 1) / (Ts * z)])
    ratio = (terms * system(z) / z * (z - 1) / (CROSSOVER * Ts)).T
    both = np.concatenate([ratio.real, ratio.imag])
    wanted = np.concatenate([np.ones(len(z)), np.zeros(len(z))])
    return np.asarray(np.linalg.lstsq(both, wanted, rcond=None)[0])


#: Speeds in rad/s, and from which second on.
STEPS = ((0.0, 0.0), (100.0, 0.2), (150.0, 1.4), (-60.0, 2.6), (-10.0, 4.2))
SAMPLES = 270


def reference_steps() -> np.ndarray:
    """Return the reference, one row a sample."""
    times = Ts * np.arange(SAMPLES)
    wanted = [max((k for k in STEPS if k[1] <= t + Ts / 2), key=lambda k: k[1])[0] for t in times]
    return np.array(wanted)[:, None]


FIGURES = ("overshoot", "settling")


def step_table(runs: dict[str, xr.Dataset]) -> Table:
    """Return overshoot and settling time (to 2 %) of every step of the reference."""
    import control

    table = Table("step, rad/s", *(f"{name}: {what}" for name in runs for what in FIGURES))
    ends = [begin for _, begin in STEPS[2:]] + [SAMPLES * Ts]
    for (start, _), (end, begin), until in zip(STEPS, STEPS[1:], ends, strict=False):
        cells = []
        for run in runs.values():
            part = run.speed.sel(time=slice(begin - Ts / 2, until - Ts / 2))
            y = (part.values[:, 0] - start) / (end - start)
            info = control.step_info(y, part.time.values - begin, yfinal=1.0)
            cells += [f"{info['Overshoot']:.1f} %", f"{info['SettlingTime']:.2f} s"]
        table.add_row(f"{start:g} to {end:g}", *cells)
    return table


# -- figures ---------------------------------------------------------------------------------------


def plot_identification(tests: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Any:
    """Plot measured and simulated speed of every test, and their difference."""
    import matplotlib.pyplot as plt

    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            2, len(tests), figsize=(9, 4.6), sharex="col", sharey="row", height_ratios=[2, 1]
        )
        figure.set_layout_engine("constrained")
        for column, (name, curves) in zip(axes.T, tests.items(), strict=True):
            measured, simulated, linear = curves
            times = Ts * np.arange(len(measured))
            column[0].plot(times, measured, color=COLOURS[6], label="motor, measured")
            column[0].plot(times, simulated, "--", color=COLOURS[1], label="LSTM, free run")
            column[0].set_title(name)
            column[1].plot(times, linear - measured, color=COLOURS[5], label="linear model")
            column[1].plot(times, simulated - measured, color=COLOURS[1], label="LSTM")
            column[1].set_xlabel("time, s")
        axes[0, 0].set_ylabel("speed, rad/s")
        axes[1, 0].set_ylabel("error, rad/s")
        for row in axes:
            row[-1].legend(
                loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.1, borderpad=0.2
            )
    return figure


def plot_control(runs: dict[str, xr.Dataset]) -> Any:
    """Plot speed and voltage of the closed loops, and the difference of their speeds."""
    import matplotlib.pyplot as plt

    motor, network = runs["motor"], runs["LSTM"]
    styles = {"motor": {"color": COLOURS[0]}, "LSTM": {"color": COLOURS[1], "ls": "--"}}
    with plt.rc_context(STYLE):
        figure, (speed, voltage, difference) = plt.subplots(
            3, 1, figsize=(7.5, 6.4), sharex=True, layout="constrained", height_ratios=[3, 2, 1]
        )
        wanted = motor.reference.values[:, 0]
        speed.step(motor.time, wanted, where="post", color=COLOURS[6], lw=0.8, label="reference")
        for name, run in runs.items():
            speed.plot(run.time, run.speed[:, 0], label=f"PID and {name}", **styles[name])
            voltage.step(run.time, run.voltage[:, 0], where="post", label=name, **styles[name])
        difference.plot(motor.time, network.speed[:, 0] - motor.speed[:, 0], color=COLOURS[2])
        speed.set_ylabel("speed, rad/s")
        voltage.set_ylabel("voltage, V")
        difference.set_ylabel("LSTM - motor,\nrad/s")
        difference.set_xlabel("time, s")
        difference.set_xlim(0, Ts * (SAMPLES - 1))
        speed.legend(loc="upper right")
    return figure


# -- all of it -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What the example computed.

    Parameters
    ----------
    network : Network
        The identified motor, from volts to rad/s.
    fits : dict
        Of the LSTM's free run on data that it was not trained on: 1 - NRMSE and VAF in per cent.
    c_test : str
        What the built-in test of the C program said; empty without gcc.
    loops : dict of Dataset
        The closed loops' traces, with the motor and with the LSTM.
    """

    network: ls.Network
    fits: dict[str, tuple[float, float]]
    c_test: str
    loops: dict[str, xr.Dataset]


def run(folder: Path, epochs: int = 4000) -> Outcome:
    """Identify, export, control; write all files into the folder."""
    motor, random = Motor(), np.random.default_rng(0)
    train = experiment(motor, levels(random, 24), random)
    validation = experiment(motor, levels(random, 6), random)
    times = Ts * np.arange(400)
    sweep = experiment(motor, 10 * chirp(times, 0.2, times[-1], 3.0, phi=-90)[:, None], random)
    say(f"measured: {train[0].size:,} samples to train on, {validation[0].size:,} to validate with")

    network, result = identify(train, validation, epochs)
    say(f"{network!r}\n{result.summary}")
    fits = judge(network, train, {"validation": validation, "chirp": sweep}, folder)
    c_test = export(network, sweep[0][0], folder)
    say(f"C program, float32: {c_test or 'written, not run: gcc is not installed'}\n")
    stored = ls.network_from_workspace(ls.load_workspace(folder / "dc_motor.npz"))
    loops = control_both(motor, stored, folder)
    say("saved " + ", ".join(sorted(file.name for file in folder.iterdir())))
    return Outcome(network, fits, c_test, loops)


def judge(
    network: ls.Network, train: Data, tests: dict[str, Data], folder: Path
) -> dict[str, tuple[float, float]]:
    """Compare free runs of the network with what was measured; print, and plot."""
    compiled = ls.compile(ls.build(network))
    fits, curves = {}, {}
    table = Table("free run", "LSTM: 1 - NRMSE", "VAF", "linear model: 1 - NRMSE", "VAF")
    for name, (u, y) in tests.items():
        simulated, linear = compiled.forward(u), linear_model(train, u)
        fits[name] = fit_figures(y, simulated)
        figures = (*fits[name], *fit_figures(y, linear))
        table.add_row(name, *(f"{figure:.2f} %" for figure in figures))
        curves[name] = (y[0, :, 0], simulated[0, :, 0], linear[0, :, 0])
    say(table)
    ls.save_plot(plot_identification(curves), folder / "identification.png")
    return fits


def control_both(motor: Motor, network: ls.Network, folder: Path) -> dict[str, xr.Dataset]:
    """Design the controller on the network, and run it against the motor and the network."""
    system = linearized(network)
    ours = complex(system(np.exp(1j * CROSSOVER * Ts)))
    for name, value in (("LSTM", ours), ("motor", motor.frequency_response(CROSSOVER))):
        say(
            f"{name} at {OPERATING_VOLTAGE:g} V, linearized, at {CROSSOVER:g} rad/s: gain "
            f"{abs(value):.2f} rad/s/V, phase {np.degrees(np.angle(value)):.1f}°"
        )
    gains = design(system)
    say("PID: kp = {:.4g}, ki = {:.4g}, kd = {:.4g}".format(*gains))
    diagrams = {"motor": closed_loop(motor, gains), "LSTM": closed_loop(network, gains)}
    loops = {name: ls.simulate(loop, reference_steps()) for name, loop in diagrams.items()}
    say(step_table(loops))
    apart = float(abs(loops["LSTM"].speed.values - loops["motor"].speed.values).max())
    say(f"the two speeds are at most {apart:.2f} rad/s apart")
    settled = round(STEPS[2][1] / Ts) - 1  # the last sample before the second step
    poles = ls.linearize(diagrams["LSTM"], loops["LSTM"], sample=settled).poles()
    say(
        f"PID and LSTM, linearized at {STEPS[1][0]:g} rad/s: largest |pole| {max(abs(poles)):.3f}\n"
    )
    ls.save_plot(plot_control(loops), folder / "closed_loop.png")
    ls.save_plot(ls.plot_diagram(diagrams["motor"], []), folder / "diagram.png")
    return loops


def main() -> None:
    """Run it all, into the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("dc_motor"), help="folder for the results")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    import matplotlib as mpl

    mpl.use("Agg")  # figures go to files
    run(folder)


if __name__ == "__main__":
    try:
        main()
    except (ls.errors.LstmsimError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
