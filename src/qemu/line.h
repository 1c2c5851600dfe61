#pragma once
// What a command line says, option by option, before anything is made of it together. Readers (options.h) fill it; what
// refers to something by its id is put together in machine.h.
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "arm/cpu_model.h"
#include "devices/backends/disk_source.h"
#include "devices/backends/network_options.h"
#include "devices/chardev/chardevs.h"
#include "devices/ninep/share_options.h"
#include "machine/device_spec.h"
#include "machine/firmware_items.h"
#include "monitor/monitor.h"
#include "qemu/ids.h"
#include "qemu/outcome.h"
#include "qemu/words.h"
#include "vmm/panic_action.h"
#include "vmm/watchdog_action.h"

namespace armvisor::qemu {

struct Drive {
  Given given;
  std::string id;
  std::string interface = "virtio";  ///< if=
  std::optional<u64> index;          ///< of its interface; unset: the next that is free
  std::string serial;
  devices::DiskSource source{.path = {}, .format = "auto", .unmap = false};  ///< but for snapshot
  std::optional<bool> snapshot;                                              ///< unset: as -snapshot says
  bool refused = false;                                                      ///< it has an outcome already
  bool used = false;                                                         ///< a device has it

  /// `line`: whether the whole line says -snapshot, which QEMU does not apply to a -blockdev.
  bool is_snapshot(bool line) const { return snapshot.value_or(line && given.name != "blockdev"); }
};

struct Chardev {
  Given given;
  std::string id;
  devices::ChardevOptions where;
  std::string refers;           ///< not empty: the -chardev of this id is meant
  bool refused = false;         ///< it has an outcome already
  u32 users = 0;                ///< that were found when the machine was made
  devices::ChardevIndex index;  ///< in the machine's list, once it has a user
};

struct Netdev {
  Given given;
  std::string id;
  std::string name;  ///< the id that the line gives it; of -nic and -net, `id` is another
  std::string kind;  ///< user, tap, bridge, socket, stream, dgram or vde
  devices::UserNetworkOptions user;
  std::vector<Chardev> ends;  ///< of its guest_forwards without a command, in their order
  devices::TapOptions tap;
  devices::FrameLinkOptions link;
  bool refused = false;
  bool used = false;
};

/// -nic, or -net nic: a card of the board's choice.
struct Nic {
  Given given;
  std::string netdev;  ///< empty: on the network that -net names, if any
  std::optional<devices::MacAddress> mac;
  machine::NetworkSpec::Card card{};
};

/// -fsdev, or that half of -virtfs.
struct Share {
  Given given;
  std::string id{};
  devices::ninep::ShareOptions options{};  ///< but for the tag, which is the device's
  bool refused = false;                    ///< it has an outcome already
  bool used = false;                       ///< a device has it
};

/// -monitor, -qmp and the like.
struct Monitor {
  Chardev end;
  monitor::Monitor::Mode mode = monitor::Monitor::Mode::Readline;
};

struct Device {
  Given given;
  std::string id;  ///< may be empty
  std::string driver;
  KeyValues properties;
};

/// A property of all devices of a driver.
struct Global {
  Given given;
  std::string driver, property, value;
};

/// -object filter-dump
struct Dump {
  Given given;
  std::string netdev;
  devices::DumpOptions options;
  bool used = false;  ///< it has an outcome
};

/// A file of the host that must be there when the machine starts, though no device reads it.
struct NamedFile {
  enum class Kind {
    Image,    ///< a regular file or a block device
    Entropy,  ///< a character device
    Folder,
  };
  std::string option;  ///< as it stands on the line
  std::string path;
  Kind kind;
};

/// -machine pflash0=NODE
struct FlashNode {
  std::string node;  ///< empty: none
  std::string option;
};

enum class Display {
  Default,    ///< a window, if QEMU has one
  Window,     ///< asked for
  None,       ///< none, and the serial line shows nothing
  Nographic,  ///< none, and the serial line is on standard input and output
};

struct Line {
  Outcomes outcomes;
  Ids ids;

  std::string machine;  ///< its type; empty: none was given
  std::string gic_version, gic_option;
  std::string dump_dtb;
  u64 memory = u64{128} << 20;
  bool memory_given = false, high_memory = true, high_window = true;
  KeyValues smp, memory_keys;  ///< of all -smp and -m: QEMU takes them as one list each
  enum class Accelerators { None, Own, OfMachine } accelerators = Accelerators::None;  ///< by -accel or -machine
  u32 cpus = 1;
  std::optional<arm::CpuModel> cpu;

  std::string kernel, initrd, dtb, firmware;
  std::array<FlashNode, 2> flash_nodes;  ///< by bank
  std::optional<std::string> append;
  std::vector<std::string> data_folders;  ///< -L
  machine::FirmwareOptions firmware_options;
  bool strict_boot = false;  ///< from nothing that has no bootindex=
  std::vector<Given> smbios;

  std::vector<Drive> drives;
  bool snapshot = false;  ///< of all drives that do not say
  std::vector<Netdev> netdevs;
  std::vector<Share> shares;
  std::vector<Nic> nics;
  std::optional<Netdev> hub;      ///< what -net connects cards to
  bool network_named = false;     ///< by -net, -nic or -netdev: there is no default
  std::vector<Chardev> chardevs;  ///< by id
  std::vector<Chardev> serials;   ///< -serial, in order
  std::vector<Device> devices;
  std::vector<Global> globals;
  std::vector<NamedFile> files;
  std::vector<std::string> objects;  ///< ids of sources of entropy
  std::vector<Dump> dumps;
  struct MemoryBackend {
    std::string id;
    u64 size;              ///< bytes
    std::string option{};  ///< as it stands on the line
    std::string path{};    ///< of a file of the host; empty: none
    bool shared = false;   ///< the file gets what is written
    bool read_only = false;
  };
  std::vector<MemoryBackend> memory_backends;
  struct Reference {
    std::string option;  ///< of the line
    std::string id;
  };
  std::optional<Reference> memory_backend, numa_memory;  ///< what RAM is to be

  struct Semihosting {
    KeyValues said;  ///< by all -semihosting-config so far: a later one adds to earlier ones
    bool on = false, userspace = false;
    Chardev console;                     ///< what it refers to, if anything
    std::vector<std::string> arguments;  ///< empty: the kernel and its command line
  } semihosting;

  Display display = Display::Default;
  Given display_given;
  std::vector<Monitor> monitors;
  std::optional<Chardev> gdb;  ///< -gdb, -s: the last of them
  bool defaults = true;        ///< no -nodefaults
  bool legacy_virtio = true;
  bool reboot = true;
  bool trace = false;  ///< of blocks, by -d
  bool daemonize = false;
  bool sandbox = true;
  bool stopped = false;                                       ///< -S
  bool keep_when_off = false;                                 ///< -no-shutdown
  vmm::PanicAction panic = vmm::PanicAction::PowerOff;        ///< -action panic=
  vmm::WatchdogAction watchdog = vmm::WatchdogAction::Reset;  ///< likewise watchdog=
  std::string title, uuid;                                    ///< -name, -uuid
  std::optional<u8> escape;                                   ///< of the console, by -echr
  std::string pid_file, log_file;

  // What is asked for instead of a machine.
  bool explain = false, version = false;
  std::optional<std::string> help;  ///< of which option; empty: of all

  Drive* drive(std::string_view id);
  Netdev* netdev(std::string_view id);
  Share* share(std::string_view id);
  Chardev* chardev(std::string_view id);
};

/// Reads a whole line. Faults are outcomes, so all of them are found.
Line read_line(const std::vector<std::string>& arguments);

}  // namespace armvisor::qemu
