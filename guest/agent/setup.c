#include "setup.h"

#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/sockios.h>

/* struct ifreq and struct rtentry of Linux, whose own headers want those of a C library. */
#define SOCKET_INET 2
#define SOCKET_DATAGRAM 2
struct inet_address {
  uint16_t family, port;
  uint32_t address;
  uint8_t zero[8];
};
struct interface_request {
  char name[16];
  union {
    struct inet_address address;
    short flags;
    uint8_t room[16];
  };
};
#define INTERFACE_UP 0x41 /* IFF_UP | IFF_RUNNING */
struct route_request {
  unsigned long pad1;
  struct inet_address to, gateway, mask;
  unsigned short flags;
  short pad2;
  unsigned long pad3;
  void* pad4;
  short metric;
  char* device;
  unsigned long mtu, window;
  unsigned short irtt;
};
#define ROUTE_BY_GATEWAY 3 /* RTF_UP | RTF_GATEWAY */

#define MOST_WORDS 8
#define MOST_WRITTEN 32
#define LOOKS 2000 /* for a disk, a millisecond or more apart */

static char list[AV_SETUP_MOST + 3]; /* zeros end it, whatever it is */
static char* at = list;
static int written[MOST_WRITTEN], written_count;
static int disk_is_there, disk_is_written, has_sessions;
static long disk_error;

struct step {
  const char* words[MOST_WORDS];
  int count;
};

/* A step is words, each ended by a zero, and an empty one at its end; the list ends likewise. */
static int next_step(struct step* step) {
  step->count = 0;
  while (*at) {
    if (step->count < MOST_WORDS) step->words[step->count++] = at;
    at += strlen(at) + 1;
  }
  for (int n = step->count; n < MOST_WORDS; ++n) step->words[n] = "";
  ++at;
  return step->count;
}

/* Whether links of the system lead there to its root, where what is mounted would be below it for everybody. */
static int is_root(const char* path) {
  struct stat64 there, root;
  return SYS(stat64, path, &there) == 0 && SYS(stat64, "/", &root) == 0 && there.st_dev == root.st_dev &&
         there.st_ino == root.st_ino;
}

static long load_module(const char* path) {
  const long fd = SYS(open, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fd;
  const long error = SYS(finit_module, fd, "", 0);
  SYS(close, fd);
  return error == -EEXIST ? 0 : error;
}

/* Something of the host's, whose writes are to be with it before the end is told. */
static long remember_written(const char* folder) {
  if (written_count == MOST_WRITTEN) return 0;
  const long fd = SYS(open, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fd;
  written[written_count++] = (int)fd;
  return 0;
}

/* A folder of the host's, by its tag. */
static long mount_share(const char* tag, const char* to, const char* access, const char* cache) {
  char options[128];
  const int read_only = same(access, "ro");
  long error = make_folders(to);
  if (error < 0) return error;
  if (is_root(to)) return -EBUSY;
  join(options, sizeof options, "trans=virtio,version=9p2000.L,msize=512000,access=client,cache=", cache, NULL);
  error = SYS(mount, tag, to, "9p", read_only ? MS_RDONLY : 0, options);
  return error < 0 || read_only ? error : remember_written(to);
}

/* A disk is there some moments after its driver. */
static long wait_for_device(const char* device) {
  const struct { long s, ns; } moment = {0, 1000000};
  long error = 0;
  for (int looks = 0; looks < LOOKS; ++looks) {
    error = SYS(access, device, 0);
    if (error == 0) return 0;
    SYS(nanosleep, &moment, 0);
  }
  return error;
}

static int is_there(const char* folder, const char* name) {
  char path[256];
  uint8_t attributes[256]; /* struct stat64 */
  return SYS(lstat64, join(path, sizeof path, folder, "/", name, NULL), attributes) == 0;
}

static int is_system(const char* folder) {
  return is_there(folder, "etc/os-release") || is_there(folder, "usr/lib/os-release") || is_there(folder, "sbin/init");
}

/* With "if-system" one of several, of which the first that is a system is taken. */
static long mount_disk(const char* device, const char* to, const char* type, const char* access, const char* which) {
  const int read_only = same(access, "ro"), one_of_several = same(which, "if-system");
  if (disk_is_there) return 0;
  long error = wait_for_device(device);
  if (error == 0) error = make_folders(to);
  if (error == 0) error = SYS(mount, device, to, type, read_only ? MS_RDONLY : 0, "");
  if (error == 0 && one_of_several && !is_system(to)) {
    SYS(umount2, to, 0);
    error = -ENOENT;
  }
  if (error < 0) disk_error = error;
  if (error < 0) return one_of_several ? 0 : error;
  disk_is_there = 1;
  disk_is_written = !read_only;
  return read_only ? 0 : remember_written(to);
}

/* What is written goes to memory. */
static long mount_overlay(const char* lower, const char* to) {
  char options[256];
  long error = make_folders("/written");
  if (error == 0) error = SYS(mount, "armvisor", "/written", "tmpfs", 0, "mode=755,size=75%");
  if (error == 0) error = make_folders("/written/upper");
  if (error == 0) error = make_folders("/written/work");
  if (error == 0) error = make_folders(to);
  join(options, sizeof options, "lowerdir=", lower, ",upperdir=/written/upper,workdir=/written/work", NULL);
  return error ? error : SYS(mount, "armvisor", to, "overlay", 0, options);
}

static long mount_new(const char* type, const char* path, unsigned long flags, const char* options) {
  const long error = make_folders(path);
  return error ? error : SYS(mount, type, path, type, flags, options);
}

static void write_file(const char* path, const char* text) {
  const long fd = SYS(open, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return;
  SYS(write, fd, text, strlen(text));
  SYS(close, fd);
}

/* The working folder becomes the root; what a system expects in it that is no file of its own. */
static long enter_root(const char* root) {
  long error = SYS(chdir, root);
  if (error == 0) error = SYS(mount, ".", "/", NULL, MS_MOVE, NULL);
  if (error == 0) error = SYS(chroot, ".");
  if (error == 0) error = SYS(chdir, "/");
  if (error == 0) error = mount_new("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "");
  if (error == 0) error = mount_new("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, "");
  if (error == 0) error = mount_new("devtmpfs", "/dev", MS_NOSUID, "mode=755");
  if (error == 0) error = mount_new("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666");
  if (error == 0) error = mount_new("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
  if (error == 0) error = mount_new("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=755");
  SYS(symlink, "/proc/self/fd", "/dev/fd");
  SYS(symlink, "/proc/self/fd/0", "/dev/stdin");
  SYS(symlink, "/proc/self/fd/1", "/dev/stdout");
  SYS(symlink, "/proc/self/fd/2", "/dev/stderr");
  return error;
}

static void set_host_name(const char* otherwise) {
  char name[65];
  long n = read_file("/etc/hostname", name, sizeof name - 1);
  for (long k = 0; k < n; ++k)
    if (name[k] == '\n') n = k;
  if (n > 0)
    SYS(sethostname, name, n);
  else
    SYS(sethostname, otherwise, strlen(otherwise));
}

static uint32_t address(unsigned a, unsigned b, unsigned c, unsigned d) { return a | b << 8 | c << 16 | d << 24; }

static long interface_up(long socket, const char* name, uint32_t own, uint32_t mask) {
  struct interface_request r;
  memset(&r, 0, sizeof r);
  join(r.name, sizeof r.name, name, NULL);
  long error = 0;
  if (own) {
    r.address = (struct inet_address){.family = SOCKET_INET, .address = own};
    error = SYS(ioctl, socket, SIOCSIFADDR, &r);
    r.address = (struct inet_address){.family = SOCKET_INET, .address = mask};
    if (error == 0) error = SYS(ioctl, socket, SIOCSIFNETMASK, &r);
  }
  r.flags = INTERFACE_UP;
  return error ? error : SYS(ioctl, socket, SIOCSIFFLAGS, &r);
}

/* The user network as it is unless somebody says otherwise (devices/backends/network_options.h). */
static long user_network(long socket) {
  const struct route_request route = {.to = {.family = SOCKET_INET},
                                      .gateway = {.family = SOCKET_INET, .address = address(10, 0, 2, 2)},
                                      .mask = {.family = SOCKET_INET},
                                      .flags = ROUTE_BY_GATEWAY};
  long error = interface_up(socket, "eth0", address(10, 0, 2, 15), address(255, 255, 255, 0));
  if (error == 0) error = SYS(ioctl, socket, SIOCADDRT, &route);
  if (error) return error;
  SYS(mkdir, "/run/armvisor", 0755);
  write_file("/run/armvisor/resolv.conf", "nameserver 10.0.2.3\n");
  /* Over the system's own, which stays as it is; a system without one has it made where nothing is kept. */
  if (SYS(mount, "/run/armvisor/resolv.conf", "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0)
    SYS(symlink, "/run/armvisor/resolv.conf", "/etc/resolv.conf");
  return 0;
}

static long set_network(const char* kind) {
  const long socket = SYS(socket, SOCKET_INET, SOCKET_DATAGRAM, 0);
  if (socket < 0) return same(kind, "none") ? 0 : socket;
  long error = interface_up(socket, "lo", 0, 0);
  if (same(kind, "user")) error = user_network(socket);
  SYS(close, socket);
  return error;
}

static long do_step(const struct step* step) {
  const char* const* const w = step->words;
  if (same(w[0], "module")) return load_module(w[1]);
  if (same(w[0], "share")) return mount_share(w[1], w[2], w[3], w[4]);
  if (same(w[0], "disk")) return mount_disk(w[1], w[2], w[3], w[4], w[5]);
  if (same(w[0], "have-disk")) return disk_is_there ? 0 : disk_error;
  if (same(w[0], "overlay")) return mount_overlay(w[1], w[2]);
  if (same(w[0], "enter")) return enter_root(w[1]);
  if (same(w[0], "network")) return set_network(w[1]);
  if (same(w[0], "hostname")) {
    set_host_name(w[1]);
    return 0;
  }
  if (same(w[0], "sessions")) {
    has_sessions = 1;
    return 0;
  }
  return -ENOSYS;
}

void setup_early(void) {
  struct step step;
  const long n = read_file("/setup", list, AV_SETUP_MOST);
  if (n < 0) end_machine("cannot read /setup", n);
  while (next_step(&step) && !same(step.words[0], "channel")) {
    const long error = do_step(&step);
    if (error < 0) {
      char text[300];
      end_machine(join(text, sizeof text, step.words[0], " ", step.words[1], NULL), error);
    }
  }
}

int setup_system(void) {
  struct step step;
  while (next_step(&step)) {
    const long error = do_step(&step);
    if (error == 0) continue;
    char text[600];
    join(text, sizeof text, step.words[0], " ", step.words[1], step.count > 2 ? " at " : "", step.words[2], NULL);
    port_failed(AV_STEP_SETUP, error, text, "");
    return 0;
  }
  return 1;
}

long setup_sync(void) {
  long error = 0;
  for (int n = 0; n < written_count; ++n) {
    const long one = SYS(syncfs, written[n]);
    if (error == 0 && one < 0) error = -one;
  }
  return error;
}

void setup_end(void) {
  if (disk_is_written) SYS(mount, NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
}

int setup_has_sessions(void) { return has_sessions; }
