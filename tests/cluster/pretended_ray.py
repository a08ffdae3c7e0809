"""A fake ray in this process: tasks end in a random order, and some end their worker too."""

import random
from types import SimpleNamespace


class PretendedRay:
    """The part of the module ray that blocks need.

    Args:
        seed: Seed of the order in which tasks end.
        dies: Whether a worker dies at a task, given its method and argument.
    """

    class RayActorError(Exception):
        pass

    class RayTaskError(Exception):
        def __init__(self, cause):
            super().__init__(str(cause))
            self.cause = cause

    def __init__(self, seed=0, dies=lambda method, *args: False):
        self._rng, self._dies = random.Random(seed), dies
        self.exceptions = SimpleNamespace(RayActorError=self.RayActorError, RayTaskError=self.RayTaskError)
        self.alive, self.begun, self.most = [], 0, 0
        self.finished = []

    def remote(self, **options):
        assert options["max_restarts"] == options["max_task_retries"] == 0
        return lambda kind: SimpleNamespace(remote=lambda make: self._start(kind, make))

    def _start(self, kind, make):
        host = SimpleNamespace(it=kind(make))
        host.ready = SimpleNamespace(remote=lambda: _Ref(host, "ready", ()))
        host.work = SimpleNamespace(remote=lambda block: _Ref(host, "work", (block,)))
        self.alive.append(host)
        self.begun += 1
        self.most = max(self.most, len(self.alive))
        return host

    def wait(self, refs, num_returns, timeout):
        assert num_returns == 1
        done = self._rng.choice(refs)
        return [done], [ref for ref in refs if ref is not done]

    def get(self, ref):
        assert ref.host in self.alive, "a task of a dead worker was waited for"
        if self._dies(ref.method, *ref.args):
            self.alive.remove(ref.host)
            raise self.RayActorError
        try:
            result = getattr(ref.host.it, ref.method)(*ref.args)
        except ArithmeticError as error:
            raise self.RayTaskError(error) from None
        if ref.method == "work":
            self.finished.append(*ref.args)
        return result

    def kill(self, host):
        if host not in self.alive:
            raise self.RayActorError
        self.alive.remove(host)


class _Ref:
    def __init__(self, host, method, args):
        self.host, self.method, self.args = host, method, args
