"""A picture of a figure: pose, camera, shadows, shading, eyelashes, background and occluders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from deadpan.synthetic.background import OCCLUDERS, make_background, make_occluder
from deadpan.synthetic.creases import COLUMNS, ROWS, fold_depths, folded
from deadpan.synthetic.figure import Figure
from deadpan.synthetic.light import Light, sample_light
from deadpan.synthetic.raster import rasterise
from deadpan.synthetic.rig import SKIN, Array, Indices, normals
from deadpan.synthetic.shade import expose, shade

SUPERSAMPLING = 2  # shade.expose takes means of 2 x 2
SHADOW_SIZE = 144  # pixels of a side of the shadow map
SKIN_GREY = (0.06, 0.42)  # exposure sets the skin's mean brightness to the first plus the second times its albedo


def _tones() -> Array:
    """Return the sRGB value of linear light k / 4096 up to 4; highlights above 0.7 are compressed, as a camera does."""
    light = (np.arange(4 * 4096) + 0.5) / 4096
    rolled = np.where(light < 0.7, light, 0.7 + 0.3 * (1 - np.exp(-(light - 0.7) / 0.3)))
    return np.asarray(1.055 * rolled ** (1 / 2.4) - 0.055, np.float32)


TONES = _tones()


@dataclass(frozen=True)
class Scene:
    """Everything that varies between pictures of a person except the expression.

    Angles are in degrees, `gaze` is in radians. The picture and its neutral twin share one scene.
    """

    seed: int
    yaw: float  # positive: the person's left cheek comes forward, the nose points to the viewer's right
    pitch: float  # positive: the nose points down
    roll: float
    distance: float  # of the camera, in template units (decimetres)
    zoom: float  # 1 = the aligned field with its margin fits
    shift: tuple[float, float]  # of the face, as a share of the picture
    gaze: tuple[float, float]  # right/left and up
    light: Light
    occluder: str


def sample_scene(seed: int) -> Scene:
    """Return the scene of this seed.

    Yaw, pitch and roll have standard deviations of 12, 7 and 5 degrees. One picture in twelve has an occluder.
    """
    rng = np.random.default_rng([seed, 7])
    yaw, pitch, roll = (float(np.clip(rng.normal(0, sd), -2.7 * sd, 2.7 * sd)) for sd in (12.0, 7.0, 5.0))
    contact = rng.random() < 0.55  # the person looks into the camera
    gaze = (-0.8 * np.radians(yaw), 0.8 * np.radians(pitch)) if contact else (0.0, 0.0)
    return Scene(
        seed=seed,
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        distance=float(rng.uniform(6.0, 16.0)),
        zoom=float(rng.uniform(1.02, 1.1)),
        shift=(float(rng.normal(0, 0.008)), float(rng.normal(0, 0.008))),
        gaze=(float(gaze[0] + rng.normal(0, 0.10)), float(gaze[1] + rng.normal(0, 0.06))),
        light=sample_light(rng),
        occluder=str(rng.choice(OCCLUDERS, p=[0.92, 0.025, 0.03, 0.025])),
    )


class Camera:
    """Turns the head, and places its neutral face in the picture.

    Scale and centre come from the neutral face, whatever the expression. Otherwise an open jaw would shrink the face.
    """

    def __init__(self, scene: Scene, vertices: Array, landmarks: Indices, size: int) -> None:
        self.turn = _rotation(*np.radians([scene.yaw, scene.pitch, scene.roll]))
        self.pivot = np.array([0.0, 7.1, 0.6], np.float32)
        self.distance = np.float32(scene.distance)
        self.scale, self.offset = np.float32(1.0), np.zeros(2, np.float32)
        face = self.project(self.place(vertices[landmarks]))[:, :2]
        eyes, mouth = (face[36:42].mean(0) + face[42:48].mean(0)) / 2, (face[48] + face[54]) / 2
        apart = face[42:48].mean(0) - face[36:42].mean(0)
        # the network's field: eyes 0.398 apart, eyes to mouth 0.401, its middle a third of the way from eyes to mouth
        field = float(np.sqrt((apart @ apart + (mouth - eyes) @ (mouth - eyes)) / (0.398**2 + 0.401**2)))
        roomy = 70 / 64 * field * (1 + 0.95 * abs(np.sin(np.radians(scene.roll)))) * scene.zoom
        self.scale = np.float32(size / max(roomy, 70 / 64 * field))
        middle = eyes + 0.332 * (mouth - eyes)
        self.offset = np.asarray((0.5 + np.array(scene.shift)) * size - middle * self.scale, np.float32)

    def place(self, vertices: Array) -> Array:
        """Return vertices (N, 3) in the scene, rotated around the head's pivot."""
        return np.asarray((vertices - self.pivot) @ self.turn.T, np.float32)

    def project(self, points: Array) -> Array:
        """Return (N, 3): x and y (down) in pixels, and a depth that grows towards the viewer."""
        near = self.distance / (self.distance - points[:, 2])
        x = points[:, 0] * near * self.scale + self.offset[0]
        y = -points[:, 1] * near * self.scale + self.offset[1]
        return np.stack([x, y, points[:, 2]], -1).astype(np.float32)


def _rotation(yaw: float, pitch: float, roll: float) -> Array:
    """Return the rotation (3, 3) by yaw, pitch and roll in radians, applied in this order."""
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    around_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    around_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    around_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(around_z @ around_x @ around_y, np.float32)


class Studio:
    """One scene around one figure: renders any expression while all else stays equal."""

    def __init__(self, figure: Figure, scene: Scene, size: int) -> None:
        self.figure, self.scene, self.size = figure, scene, size
        self.fine = size * SUPERSAMPLING
        self.camera = Camera(scene, figure.vertices, figure.head.landmarks, self.fine)
        rng = np.random.default_rng([scene.seed, 8])
        wall = make_background(rng, size)
        self.behind = np.asarray(cv2.resize(wall, (self.fine, self.fine), interpolation=cv2.INTER_LINEAR), np.float32)
        self.before = make_occluder(rng, scene.occluder, size, figure.person.skin)
        self.grain = rng.normal(0, 0.006, (size, size, 3)).astype(np.float32)
        self.gain: float | None = None  # exposure of the first picture, kept for all others of the scene
        gx, gy = scene.gaze
        look = np.array([np.sin(gx) * np.cos(gy), np.sin(gy), np.cos(gx) * np.cos(gy)], np.float32)
        ahead = figure.look + look - np.array([0, 0, 1], np.float32)
        self.gaze = ahead / np.linalg.norm(ahead, axis=1, keepdims=True)

    def picture(self, weights: Mapping[str, float]) -> tuple[npt.NDArray[np.uint8], Array]:
        """Return the picture (size, size, 3) uint8 RGB with these blendshape weights, and its landmarks (68, 2) px.

        The first picture fixes the exposure, so render the neutral face first.
        """
        figure, fine = self.figure, self.fine
        vertices = figure.moved(weights)
        points = self.camera.place(np.concatenate([vertices, figure.extra]))
        pixels = self.camera.project(points)
        shown = np.full((fine, fine), -1, np.int32)
        depth = np.full((fine, fine), -np.inf, np.float32)
        where = np.zeros((fine, fine, 2), np.float32)
        holed, either = figure.first_hair, figure.first_glasses
        rasterise(pixels, figure.triangles, depth, shown, where, figure.uv, figure.opacity, holed, either)
        image = self.behind.copy()
        self._shade(image, shown, where, vertices, points, weights)
        lash = self._lashes(pixels, depth)
        image *= np.float32(1) - lash[..., None]
        if self.gain is None:
            self.gain = self._exposure(image, shown)
        return self._develop(image, shown, self.gain), pixels[figure.head.landmarks, :2] / np.float32(SUPERSAMPLING)

    def _shade(self, image: Array, shown: Indices, where: Array, vertices: Array, points: Array,
               weights: Mapping[str, float]) -> None:  # fmt: skip
        """Write the linear light of every pixel that shows the figure into `image`."""
        figure, light, person = self.figure, self.scene.light, self.figure.person
        moving = normals(vertices, figure.head_triangles)
        facing = np.concatenate([moving, figure.extra_normals]) @ self.camera.turn.T
        shadow, frame = self._shadow(points)
        lamps = np.stack([light.key_direction, light.key, light.sky, light.ground, light.fill_direction, light.fill,
                          np.array([light.shadow, light.blur, 0], np.float32)])  # fmt: skip
        teeth = (0.7 + 0.3 * person.teeth, figure.head.shut(vertices), figure.teeth_front)
        colours = np.array([person.iris, person.frame, teeth], np.float32)
        height = folded(figure.folds, fold_depths(weights, person.age))
        corner = np.array([COLUMNS.start, ROWS.start], np.float32)
        shade(
            image, shown, where, figure.triangles, figure.material, points, facing.astype(np.float32), figure.place,
            figure.traits, figure.skin, figure.hair, height, corner, self.camera.turn,
            figure.eyes, self.gaze, colours, lamps.astype(np.float32), shadow, frame,
        )  # fmt: skip

    def _shadow(self, points: Array) -> tuple[Array, Array]:
        """Return the depth map (SHADOW_SIZE, SHADOW_SIZE) seen from the lamp, and the map (4, 3) from scene to
        texels.
        """
        figure, ahead = self.figure, self.scene.light.key_direction
        across = np.cross([0.0, 1.0, 0.0], ahead)
        across /= np.linalg.norm(across)
        axes = np.stack([across, np.cross(ahead, across), ahead]).astype(np.float32)
        seen = points @ axes.T
        face = seen[figure.place[:, 2] > 0.1]  # fit the map to the front of the head, where shadows are visible
        low, high = face[:, :2].min(0), face[:, :2].max(0)
        scale = np.float32((SHADOW_SIZE - 4) / float((high - low).max()))
        mapped = seen.copy()
        mapped[:, 0] = (seen[:, 0] - low[0]) * scale + 2
        mapped[:, 1] = (high[1] - seen[:, 1]) * scale + 2
        depth = np.full((SHADOW_SIZE, SHADOW_SIZE), -np.inf, np.float32)
        shown = np.full((SHADOW_SIZE, SHADOW_SIZE), -1, np.int32)
        where = np.zeros((SHADOW_SIZE, SHADOW_SIZE, 2), np.float32)
        holed, either = figure.first_hair, figure.first_glasses
        rasterise(mapped, figure.triangles, depth, shown, where, figure.uv, figure.opacity, holed, either)
        axes[1] *= -1
        last = np.array([scale, 2 - low[0] * scale, 2 + high[1] * scale], np.float32)
        return depth, np.concatenate([axes, last[None]]).astype(np.float32)

    def _lashes(self, pixels: Array, depth: Array) -> Array:
        """Return how dark the eyelashes make each pixel, 0..1; lashes are too thin to be shaded as a surface."""
        figure = self.figure
        shown = np.full(depth.shape, -1, np.int32)
        where = np.zeros((*depth.shape, 2), np.float32)
        count = len(figure.lashes)
        rasterise(pixels, figure.lashes, depth - 0.01, shown, where, figure.uv, figure.opacity, count, 0)
        middle = figure.eyes[:, 1].mean() - 0.006
        upper = figure.place[figure.lashes, 1].mean(1) > middle  # the lower lashes are fainter
        strength = np.where(upper, 0.75 if figure.person.sex == "female" else 0.45, 0.12).astype(np.float32)
        return np.where(shown >= 0, strength[shown], 0).astype(np.float32)

    def _exposure(self, image: Array, shown: Indices) -> float:
        """Return the gain that exposes the skin correctly, as a camera's automatic exposure does.

        The power 0.85 leaves a little of the scene's own brightness.
        """
        skin = np.append(self.figure.material, SKIN + 100)[shown] == SKIN
        bright = float((image[skin] @ np.array([0.2, 0.7, 0.1], np.float32)).mean()) if skin.any() else 0.2
        tone = float(np.array(self.figure.person.skin) @ [0.2, 0.7, 0.1])
        wanted = SKIN_GREY[0] + SKIN_GREY[1] * tone
        return float((wanted / (bright + 1e-3)) ** 0.85 * self.scene.light.exposure)

    def _develop(self, fine: Array, shown: Indices, gain: float) -> npt.NDArray[np.uint8]:
        """Return the finished picture: downsampled, exposed, occluded, tone-mapped, with sensor noise."""
        image: Array = np.empty((self.size, self.size, 3), np.float32)
        expose(fine, shown, gain, image)
        if self.scene.occluder != "none":
            opacity = self.before[..., 3:]
            image = image * (1 - opacity) + self.before[..., :3] * opacity
        srgb = TONES[np.clip(image * 4096, 0, len(TONES) - 1).astype(np.int32)] + self.grain
        return np.asarray(np.clip(srgb, 0, 1) * 255 + 0.5, np.uint8)
