# shellcheck shell=bash
# make_devices FOLDER: a /dev of an overlay's own. What a package's script or a server running as root does to the machine's
# is not undone when that ends, and where /dev is sticky and for all to write, as a tmpfs is by default, Linux may keep
# even root from opening a file there that is somebody else's (fs.protected_regular).
make_devices() {
  local node
  mount -t tmpfs -o mode=755,dev tmpfs "$1"
  for node in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9' 'tty 5 0'; do
    # shellcheck disable=SC2086 # a name and two numbers
    set -- "$1" $node
    mknod -m 666 "$1/$2" c "$3" "$4"
  done
  mkdir "$1/shm" "$1/pts"
  mount -t tmpfs -o mode=1777 tmpfs "$1/shm"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/pts"
  ln -s /proc/self/fd "$1/fd"
  ln -s fd/0 "$1/stdin"
  ln -s fd/1 "$1/stdout"
  ln -s fd/2 "$1/stderr"
  ln -s pts/ptmx "$1/ptmx"
}
