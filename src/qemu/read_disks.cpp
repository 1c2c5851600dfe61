// Options that name disks.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/fd.h"
#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

/// Keys that concern how QEMU reaches the file, not what the guest sees of it.
const std::initializer_list<std::string_view> k_host_keys = {"cache",
                                                             "cache.direct",
                                                             "cache.no-flush",
                                                             "cache.writeback",
                                                             "aio",
                                                             "detect-zeroes",
                                                             "discard",
                                                             "werror",
                                                             "rerror",
                                                             "file.locking",
                                                             "locking",
                                                             "file.aio",
                                                             "file.cache.direct",
                                                             "auto-read-only",
                                                             "file.auto-read-only",
                                                             "copy-on-read",
                                                             "force-share",
                                                             "read-zeroes",
                                                             "file.discard",
                                                             "file.pr-manager"};
constexpr std::string_view k_host_why = "about how QEMU reaches the file; a flush by the guest is honoured always";

/// A protocol before the name of a file, as nbd://... or json:...
bool names_protocol(std::string_view file) {
  const std::size_t colon = file.find(':');
  if (colon == std::string_view::npos || colon < 2 || file.find('/') < colon) return false;
  return std::ranges::all_of(file.substr(0, colon), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}

/// The format that a file's first bytes show, as QEMU finds it. What cannot be read, or waits for somebody, is looked
/// at when the machine is made.
std::string_view probe(const std::string& path) {
  struct Magic {
    std::string_view bytes, format;
  };
  constexpr Magic k_magics[] = {{"QFI\xfb", "qcow2"}, {"KDMV", "vmdk"}, {"vhdxfile", "vhdx"}, {"conectix", "vpc"}};
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat st {};
  std::array<char, 8> head{};
  if (!fd || ::fstat(fd.get(), &st) != 0 || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))) return "raw";
  const ssize_t size = ::pread(fd.get(), head.data(), head.size(), 0);
  for (const Magic& m : k_magics)
    if (size > 0 && std::string_view(head.data(), static_cast<std::size_t>(size)).starts_with(m.bytes)) return m.format;
  return "raw";
}

void refuse(Line& line, Drive& drive, const std::string& where, const std::string& why) {
  line.outcomes.refused(where, why);
  drive.refused = true;
}

void check_format(Line& line, Drive& drive, const std::optional<std::string>& given) {
  const std::string format = given ? *given : std::string(probe(drive.file));
  if (format == "raw" || format == "host_device" || format == "file") return;
  refuse(line, drive, given ? key_of(drive.given, "format", format) : drive.given.text(),
         "expected a raw image, " + (given ? "" : "found " + drive.file + " to be " + format + ", ") +
             "the one format here; make one with 'qemu-img convert -O raw'");
}

void check_file(Line& line, Drive& drive) {
  if (drive.file.starts_with("file:")) drive.file.erase(0, 5);
  if (drive.file.empty())
    refuse(line, drive, drive.given.text(), "expected file=FILE: drives without a medium are not here; name one");
  else if (names_protocol(drive.file))
    refuse(line, drive, key_of(drive.given, "file", drive.file),
           "expected a file or block device: QEMU's protocols are not here; name a file");
}

void check_interface(Line& line, Drive& drive) {
  const std::string where = key_of(drive.given, "if", drive.interface);
  if (drive.interface == "virtio" || drive.interface == "none") return;
  if (drive.interface == "pflash")
    refuse(line, drive, where, "expected -bios: flash that keeps what is written is not here");
  else
    refuse(line, drive, where, "expected virtio, or none with a -device: the board has no other, nor has QEMU's");
}

void read_switches(Line& line, Drive& drive, KeyValues& values) {
  for (const std::string_view key : {"readonly", "read-only"})
    if (const auto on = read_bool(line, drive.given, values, key)) drive.read_only = *on;
  if (const auto on = read_bool(line, drive.given, values, "snapshot"); on && *on)
    refuse(line, drive, key_of(drive.given, "snapshot", "on"),
           "expected off: what is written is kept, there are no temporary overlays; work on a copy of the file");
  if (const auto media = values.take("media"); media && *media == "cdrom") drive.read_only = true;
}

void add(Line& line, Drive drive) {
  if (!drive.refused && !drive.id.empty() && line.drive(drive.id))
    refuse(line, drive, key_of(drive.given, "id", drive.id), "expected an id of its own, found a second; change it");
  line.drives.push_back(std::move(drive));
}

std::string take_any(KeyValues& values, std::initializer_list<std::string_view> keys) {
  std::string found;
  for (const std::string_view key : keys)
    if (auto value = values.take(key)) found = *std::move(value);
  return found;
}

}  // namespace

void read_drive(Line& line, const Given& given) {
  auto values = read_list(line, given, "file");
  if (!values) return;
  Drive drive;
  drive.given = given;
  drive.id = take_any(*values, {"id"});
  drive.file = take_any(*values, {"file", "file.filename"});
  drive.serial = take_any(*values, {"serial"});
  if (const auto text = values->take("if")) drive.interface = *text;
  if (drive.id.empty()) drive.id = "virtio" + std::to_string(line.drives.size());  // as QEMU calls it
  values->take("file.driver");
  for (const std::string_view key : {"index", "bus", "unit"}) values->take(key);  // one bus, in the order of the line
  check_interface(line, drive);
  if (!drive.refused) check_file(line, drive);
  const auto format = values->take("format"), driver = values->take("driver");
  if (!drive.refused) check_format(line, drive, format ? format : driver);
  read_switches(line, drive, *values);
  ignore_keys(line, given, *values, k_host_keys, k_host_why);
  refuse_unknown_keys(line, given, *values);
  add(line, std::move(drive));
}

void read_blockdev(Line& line, const Given& given) {
  auto values = read_list(line, given, "driver");
  if (!values) return;
  Drive drive;
  drive.given = given;
  drive.interface = "none";
  drive.id = take_any(*values, {"node-name"});
  drive.file = take_any(*values, {"filename", "file.filename"});
  values->take("file.driver");
  const std::string below = take_any(*values, {"file"});  // the node that has the bytes
  if (const Drive* const node = below.empty() ? nullptr : line.drive(below)) {
    drive.file = node->file;
    drive.read_only = node->read_only;
    drive.refused = node->refused;
    line.outcomes.mapped(node->given.text(), "of the -blockdev that names it");
    line.drive(below)->used = true;
  }
  if (!drive.refused) check_file(line, drive);
  if (!drive.refused) check_format(line, drive, values->take("driver"));
  values->take("driver");
  read_switches(line, drive, *values);
  ignore_keys(line, given, *values, k_host_keys, k_host_why);
  refuse_unknown_keys(line, given, *values);
  add(line, std::move(drive));
}

/// -hda, -hdb, -hdc, -hdd, -cdrom, and a word that is no option.
void read_disk_image(Line& line, const Given& given) {
  Drive drive;
  drive.given = given;
  drive.id = given.name.empty() ? "hda" : given.name;
  drive.file = given.value;
  drive.read_only = given.name == "cdrom";
  check_file(line, drive);
  if (!drive.refused) check_format(line, drive, std::nullopt);
  add(line, std::move(drive));
}

}  // namespace armvisor::qemu
