// Options that share folders of the host.
#include <cstdlib>

#include "qemu/options.h"

namespace armvisor::qemu {
namespace {

using devices::ninep::OtherDevices;
using devices::ninep::SecurityModel;

constexpr std::string_view k_throttling = "throttling.";

/// 0644, 0x1a4 or 420, as QEMU reads numbers.
void read_permissions(Line& line, Share& share, KeyValues& values, std::string_view key, u32& mode) {
  const auto text = values.take(key);
  if (!text) return;
  const std::string where = key_of(share.given, key, *text);
  char* end = nullptr;
  const unsigned long value = std::strtoul(text->c_str(), &end, 0);
  if (!devices::ninep::is_mapped(share.options.model))
    return refuse(line, share, where, "expected it with security_model=mapped-xattr or mapped-file only; leave it out");
  if (text->empty() || *end != '\0' || value > 0777)
    return refuse(line, share, where, "expected permissions, as 0644; change it");
  mode = static_cast<u32>(value);
}

void read_model(Line& line, Share& share, KeyValues& values) {
  const auto model = values.take("security_model");
  if (!model)
    return refuse(line, share, share.given.text(),
                  "expected security_model=none, mapped-xattr, mapped-file or passthrough with it; say which");
  if (*model == "none")
    share.options.model = SecurityModel::None;
  else if (*model == "passthrough")
    share.options.model = SecurityModel::Passthrough;
  else if (*model == "mapped" || *model == "mapped-xattr")
    share.options.model = SecurityModel::MappedXattr;
  else if (*model == "mapped-file")
    share.options.model = SecurityModel::MappedFile;
  else
    refuse(line, share, key_of(share.given, "security_model", *model),
           "expected none, mapped-xattr, mapped-file or passthrough; change it");
}

/// What a list says of the folder; the driver is taken.
void read_folder(Line& line, Share& share, KeyValues& values) {
  share.options.path = values.take("path").value_or("");
  if (share.options.path.empty()) refuse(line, share, share.given.text(), "expected path=FOLDER with it; name one");
  read_model(line, share, values);
  read_permissions(line, share, values, "fmode", share.options.file_mode);
  read_permissions(line, share, values, "dmode", share.options.folder_mode);
  share.options.read_only = read_bool(line, share.given, values, "readonly").value_or(false);
  share.options.write_out = read_value(line, share.given, values, "writeout", "immediate").has_value();
  const auto others = read_value(line, share.given, values, "multidevs", "remap|forbid|warn").value_or("warn");
  share.options.others = others == "remap"    ? OtherDevices::Remap
                         : others == "forbid" ? OtherDevices::Forbid
                                              : OtherDevices::Warn;
  const auto all = values.left();
  for (const auto& [key, value] : all)
    if (key.starts_with(k_throttling) && values.take(key))
      line.outcomes.ignored(key_of(share.given, key, value), "folders go as fast as they can");
  refuse_unknown_keys(line, share.given, values);
}

/// Whether the driver is the one that there is; if not, with an outcome.
bool read_driver(Line& line, const Given& given, KeyValues& values, std::string_view key) {
  const std::string driver = values.take(key).value_or("");
  if (driver == "local") return true;
  line.outcomes.refused(key_of(given, driver, {}),
                        driver == "synth" || driver == "proxy"
                            ? "expected local, a folder of the host: QEMU's other drivers are for its tests, or gone; "
                              "change it"
                            : "expected local, a folder of the host; change it");
  return false;
}

}  // namespace

void read_fsdev(Line& line, const Given& given) {
  auto values = read_list(line, given, "fsdriver");
  if (!values || !read_driver(line, given, *values, "fsdriver")) return;
  Share share{.given = given};
  if (!read_id(line, given, *values, "id", IdKind::Folder, true, share.id)) return;
  read_folder(line, share, *values);
  line.shares.push_back(std::move(share));
}

/// -fsdev and -device virtio-9p-pci in one.
void read_virtfs(Line& line, const Given& given) {
  auto values = read_list(line, given, "fsdriver");
  if (!values || !read_driver(line, given, *values, "fsdriver")) return;
  const auto tag = values->take("mount_tag");
  if (!tag)
    return line.outcomes.refused(given.text(), "expected mount_tag=TAG with it, by which it is mounted; give one");
  Share share{.given = given};
  if (!read_id(line, given, *values, "id", IdKind::Folder, false, share.id)) return;
  if (share.id.empty()) {
    share.id = *tag;  // which need be no id
    if (!line.ids.claim(IdKind::Folder, share.id))
      return line.outcomes.refused(given.text(), "expected a tag of its own, found that of another; change it");
  }
  Device device{.given = given, .id = {}, .driver = "virtio-9p-pci", .properties = {}};
  device.properties.add("fsdev", share.id);
  device.properties.add("mount_tag", *tag);
  read_folder(line, share, *values);
  line.shares.push_back(std::move(share));
  line.devices.push_back(std::move(device));
}

}  // namespace armvisor::qemu
