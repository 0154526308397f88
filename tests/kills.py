"""Code for a process of its own that is killed right before the n-th change of a file below a folder."""

KILL_BEFORE = '''
import os, pathlib, shutil, signal, sys
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}
def kill_before(number, folder):
    left = [number]
    def hook(event, arguments):
        if event in CHANGES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            if str(arguments[0]).startswith(str(folder)):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

def is_killed_before(number, folder, work):
    """Do `work()` in a child process; whether it came to the n-th change, and was killed there."""
    child = os.fork()
    if child == 0:
        kill_before(number, folder)
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])
'''
