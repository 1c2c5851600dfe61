// Options that name disks.
#include <algorithm>

#include "devices/backends/image_format.h"
#include "devices/backends/nbd_disk.h"
#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

/// Keys that concern how QEMU reaches the file, not what the guest sees of it.
const std::initializer_list<std::string_view> k_host_keys = {
    "aio",         "werror",         "rerror",       "file.locking",      "locking",
    "file.aio",    "auto-read-only", "copy-on-read", "file.cache.direct", "file.auto-read-only",
    "force-share", "read-zeroes",    "file.discard", "file.pr-manager"};
constexpr std::string_view k_host_why = "about how QEMU reaches the file";

/// A protocol before the name of a file, as nbd://... or json:...
bool names_protocol(std::string_view file) {
  const std::size_t colon = file.find(':');
  if (colon == std::string_view::npos || colon < 2 || file.find('/') < colon) return false;
  return std::ranges::all_of(file.substr(0, colon), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
}

void read_format(Line& line, Drive& drive, const std::optional<std::string>& given) {
  if (!given) return;  // as QEMU, by the content
  const bool plain = *given == "host_device" || *given == "file";
  if (!plain && !devices::is_image_format(*given))
    refuse(line, drive, key_of(drive.given, "format", *given),
           "expected " + devices::image_format_names() + "; convert the image with qemu-img");
  else if (!plain && *given != "raw" && devices::is_nbd_address(drive.source.path))
    refuse(line, drive, key_of(drive.given, "format", *given),
           "expected raw at an address: an image in an image is not here; have the server open the format");
  drive.source.format = plain ? "raw" : *given;
}

void check_file(Line& line, Drive& drive) {
  std::string& file = drive.source.path;
  if (file.starts_with("file:")) file.erase(0, 5);
  if (file.empty())
    refuse(line, drive, drive.given.text(), "expected file=FILE: drives without a medium are not here; name one");
  else if (names_protocol(file) && !devices::is_nbd_address(file))
    refuse(line, drive, key_of(drive.given, "file", file),
           "expected a file, a block device, nbd://HOST/EXPORT or nbd+unix:///EXPORT?socket=PATH: QEMU's other "
           "protocols are not here; name one of these");
}

void check_interface(Line& line, Drive& drive) {
  const std::string where = key_of(drive.given, "if", drive.interface);
  if (drive.interface == "virtio" || drive.interface == "none" || drive.interface == "pflash") return;
  refuse(line, drive, where, "expected virtio, pflash, or none with a -device: the board has no other, nor has QEMU's");
}

/// bus=, unit= and index=: buses take any number of drives, so an index is a unit.
void read_place(Line& line, Drive& drive, KeyValues& values) {
  const bool by_unit = values.find("bus") || values.find("unit");
  for (const std::string_view key : {"bus", "unit", "index"}) {
    const auto text = values.take(key);
    if (!text) continue;
    const auto number = parse_unsigned(*text);
    if (!number || *number > 1'000'000)
      refuse(line, drive, key_of(drive.given, key, *text), "expected a number; change it");
    else if (key == "index" && by_unit)
      refuse(line, drive, key_of(drive.given, key, *text), "expected either index or bus and unit; leave out one");
    else if (key != "bus")
      drive.index = *number;
  }
}

void read_switches(Line& line, Drive& drive, KeyValues& values) {
  for (const std::string_view key : {"readonly", "read-only"})
    if (const auto on = read_bool(line, drive.given, values, key)) drive.source.read_only = *on;
  if (const auto on = read_bool(line, drive.given, values, "snapshot")) drive.snapshot = *on;
  if (const auto media = values.take("media"); media && *media == "cdrom") drive.source.read_only = true;
}

/// cache=MODE, or its three parts.
void read_cache(Line& line, Drive& drive, KeyValues& values) {
  if (const auto mode = values.take("cache")) {
    if (const auto cache = devices::find_cache(*mode == "off" ? "none" : *mode))
      drive.source.cache = *cache;
    else
      refuse(line, drive, key_of(drive.given, "cache", *mode),
             "expected writeback, none, writethrough, directsync or unsafe; change it");
  }
  using enum devices::DiskCache;
  devices::DiskCache& cache = drive.source.cache;
  const bool direct =
      read_bool(line, drive.given, values, "cache.direct").value_or(cache == None || cache == Directsync);
  const bool back = read_bool(line, drive.given, values, "cache.writeback").value_or(!devices::writes_through(cache));
  const bool no_flush = read_bool(line, drive.given, values, "cache.no-flush").value_or(cache == Unsafe);
  cache = no_flush ? Unsafe : back ? (direct ? None : Writeback) : direct ? Directsync : Writethrough;
}

void read_discard(Line& line, Drive& drive, KeyValues& values) {
  if (const auto mode = values.take("discard")) {
    drive.source.unmap = *mode == "unmap" || *mode == "on";
    if (!drive.source.unmap && *mode != "ignore" && *mode != "off")
      refuse(line, drive, key_of(drive.given, "discard", *mode), "expected unmap or ignore; change it");
  }
  if (const auto mode = values.take("detect-zeroes")) {
    drive.source.detect_zeroes = *mode == "off" ? "" : *mode;
    if (*mode != "on" && *mode != "off" && *mode != "unmap")
      refuse(line, drive, key_of(drive.given, "detect-zeroes", *mode), "expected on, off or unmap; change it");
  }
}

bool is_taken(const Line& line, const Drive& drive, u64 index) {
  return std::ranges::any_of(line.drives,
                             [&](const Drive& d) { return d.interface == drive.interface && d.index == index; });
}

/// Its number on its interface, and by that the id it has in QEMU if the line gives it none.
void place(Line& line, Drive& drive) {
  if (drive.index && is_taken(line, drive, *drive.index))
    return refuse(line, drive, key_of(drive.given, "index", std::to_string(*drive.index)),
                  "expected a place of its own, found that of another drive; change it");
  if (!drive.index) drive.index = 0;
  while (is_taken(line, drive, *drive.index)) ++*drive.index;
  if (!drive.id.empty()) return;
  drive.id = drive.interface + std::to_string(*drive.index);
  if (!line.ids.claim(IdKind::Block, drive.id))
    refuse(line, drive, drive.given.text(),
           "expected '" + drive.id +
               "' to be free, the id that it gets by its place, found that of another; give it "
               "an id");
}

void add(Line& line, Drive drive) {
  if (!drive.refused && drive.given.name != "blockdev") place(line, drive);
  line.drives.push_back(std::move(drive));
}

/// The keys that -drive and -blockdev share; `values` has no others then.
void finish(Line& line, Drive drive, KeyValues& values) {
  read_switches(line, drive, values);
  read_cache(line, drive, values);
  read_discard(line, drive, values);
  ignore_keys(line, drive.given, values, k_host_keys, k_host_why);
  refuse_unknown_keys(line, drive.given, values);
  add(line, std::move(drive));
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
  drive.refused = !read_id(line, given, *values, "id", IdKind::Block, false, drive.id);
  drive.source.path = take_any(*values, {"file", "file.filename"});
  drive.serial = take_any(*values, {"serial"});
  if (const auto text = values->take("if")) drive.interface = *text;
  values->take("file.driver");
  read_place(line, drive, *values);
  if (!drive.refused) check_interface(line, drive);
  if (!drive.refused) check_file(line, drive);
  const auto format = values->take("format"), driver = values->take("driver");
  if (!drive.refused) read_format(line, drive, format ? format : driver);
  finish(line, std::move(drive), *values);
}

void read_blockdev(Line& line, const Given& given) {
  auto values = read_list(line, given, "driver");
  if (!values) return;
  Drive drive;
  drive.given = given;
  drive.interface = "none";
  drive.refused = !read_id(line, given, *values, "node-name", IdKind::Block, true, drive.id);
  drive.source.path = take_any(*values, {"filename", "file.filename"});
  values->take("file.driver");
  const std::string below = take_any(*values, {"file"});  // the node that has the bytes
  if (const Drive* const node = below.empty() ? nullptr : line.drive(below)) {
    drive.source = node->source;
    drive.refused = drive.refused || node->refused;
    line.outcomes.mapped(node->given.text(), "of the -blockdev that names it");
    line.drive(below)->used = true;
  }
  if (!drive.refused) check_file(line, drive);
  if (const auto driver = values->take("driver"); !drive.refused) read_format(line, drive, driver);
  finish(line, std::move(drive), *values);
}

/// QEMU's numbers of the drives that have an option of their own; of one by a word alone, that of -hda.
std::optional<u64> fixed_place(std::string_view option) {
  if (option == "pflash") return std::nullopt;  // the next of the board's banks
  if (option.empty() || option == "hda") return 0;
  return option == "hdb" ? 1 : option == "hdd" ? 3 : 2;
}

/// -hda, -hdb, -hdc, -hdd, -cdrom, -pflash, and a word that is no option.
void read_disk_image(Line& line, const Given& given) {
  Drive drive;
  drive.given = given;
  drive.index = fixed_place(given.name);
  drive.source.path = given.value;
  drive.source.read_only = given.name == "cdrom";
  if (given.name == "pflash") drive.interface = "pflash";
  check_file(line, drive);
  add(line, std::move(drive));
}

void read_snapshot(Line& line, const Given& given) {
  line.snapshot = true;
  line.outcomes.mapped(given.text(), "what is written to the disks ends with the machine");
}

}  // namespace armvisor::qemu
