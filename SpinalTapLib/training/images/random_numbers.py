"""Random numbers for batches of tiles, on any device."""

from __future__ import annotations

import torch


class Chance:
    """Random numbers for a batch of tiles.

    Scalars (one or a few per tile) are drawn on the CPU and moved, so that choosing tiles never synchronises the GPU.
    Fields are drawn on the device.

    Parameters
    ----------
    seed : int
        The same seed and device give the same numbers.
    device : torch.device or str
        Device of the fields and of all results.
    """

    def __init__(self, seed: int, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.scalars = torch.Generator().manual_seed(seed & 0x7FFF_FFFF_FFFF_FFFF)
        self._fields = self.scalars
        if self.device.type != "cpu":
            self._fields = torch.Generator(self.device).manual_seed(seed & 0x7FFF_FFFF_FFFF_FFFF)

    @property
    def own(self) -> Chance:
        """The generator for single images, if this one is shared."""
        return self

    def shared(self, images: int) -> Chance:
        """Return a generator whose scalars are equal for each group of `images` consecutive images of one scan.

        Fields still differ between images.
        """
        return self if images == 1 else _Shared(self, images)

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        """Return uniform random numbers in [low, high)."""
        return (torch.rand(shape, generator=self.scalars) * (high - low) + low).to(self.device, non_blocking=True)

    def normal(self, sd: float, *shape: int) -> torch.Tensor:
        """Return normal random numbers with mean 0."""
        return (torch.randn(shape, generator=self.scalars) * sd).to(self.device, non_blocking=True)

    def lognormal(self, sd: float, *shape: int) -> torch.Tensor:
        """Return factors exp(N(0, sd))."""
        return self.normal(sd, *shape).exp()

    def integers(self, low: int, high: int, *shape: int) -> torch.Tensor:
        """Return random integers from `low` to `high` - 1."""
        return torch.randint(low, high, shape, generator=self.scalars).to(self.device, non_blocking=True)

    def choice(self, weights: list[float], n: int) -> torch.Tensor:
        """Return `n` random indices into `weights`, drawn in proportion to them, on the CPU."""
        return torch.multinomial(torch.tensor(weights, dtype=torch.float64), n, True, generator=self.scalars)

    def happens(self, probability: float, n: int) -> torch.Tensor:
        """Return the indices of a random subset of `n` tiles, each chosen with this probability."""
        chosen = torch.rand(n, generator=self.scalars) < probability
        return chosen.nonzero().flatten().to(self.device, non_blocking=True)

    def field(self, *shape: int) -> torch.Tensor:
        """Return white noise with mean 0 and sd 1, drawn on the device."""
        return torch.randn(shape, generator=self._fields, device=self.device)


class _Shared(Chance):
    """Generator returned by `Chance.shared`: shapes count images, one draw is made per group."""

    def __init__(self, chance: Chance, images: int) -> None:
        self.device, self.scalars, self._fields = chance.device, chance.scalars, chance._fields
        self._images, self._own = images, chance

    @property
    def own(self) -> Chance:
        return self._own

    def _groups(self, n: int) -> int:
        if n % self._images:
            raise ValueError(f"{n} images cannot be divided into groups of {self._images}.")
        return n // self._images

    def _spread(self, drawn: torch.Tensor) -> torch.Tensor:
        return drawn.repeat_interleave(self._images, 0)

    def uniform(self, low: float, high: float, *shape: int) -> torch.Tensor:
        return self._spread(super().uniform(low, high, self._groups(shape[0]), *shape[1:]))

    def normal(self, sd: float, *shape: int) -> torch.Tensor:
        return self._spread(super().normal(sd, self._groups(shape[0]), *shape[1:]))

    def integers(self, low: int, high: int, *shape: int) -> torch.Tensor:
        return self._spread(super().integers(low, high, self._groups(shape[0]), *shape[1:]))

    def choice(self, weights: list[float], n: int) -> torch.Tensor:
        return self._spread(super().choice(weights, self._groups(n)))

    def happens(self, probability: float, n: int) -> torch.Tensor:
        chosen = super().happens(probability, self._groups(n))
        first = chosen[:, None] * self._images
        return (first + torch.arange(self._images, device=self.device)).flatten()
