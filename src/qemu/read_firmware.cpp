// Options that firmware reads of by fw_cfg, and those about tables that it would find there.
#include <fmt/core.h>

#include <algorithm>

#include "qemu/options.h"
#include "qemu/value_kinds.h"

namespace armvisor::qemu {
namespace {

using devices::FwCfgItems;

constexpr std::string_view k_own_prefix = "opt/";

void add_file(Line& line, const Given& given, machine::FirmwareOptions::File file) {
  if (file.name.size() > FwCfgItems::k_most_name)
    return line.outcomes.refused(key_of(given, "name", file.name),
                                 fmt::format("expected a name of at most {} bytes, found {}; shorten it",
                                             FwCfgItems::k_most_name, file.name.size()));
  std::string became = file.path.empty() ? "file of fw_cfg" : "file of fw_cfg with the content of " + file.path;
  if (file.name.starts_with(k_own_prefix))
    line.outcomes.mapped(given.text(), std::move(became));
  else
    line.outcomes.clamped(given.text(), std::move(became), "names that begin otherwise than with opt/ are QEMU's own");
  line.firmware_options.files.push_back(std::move(file));
}

/// Takes a key whose value is a number from `least` to 65535; nothing if it is absent or, with an outcome, another.
std::optional<s64> read_wait(Line& line, const Given& given, KeyValues& values, std::string_view key, s64 least) {
  const auto text = read_value(line, given, values, key, "number");
  if (!text) return std::nullopt;
  const bool minus = text->starts_with('-');
  const u64 most = 0x7fff'ffff;
  const s64 size = static_cast<s64>(std::min(parse_unsigned(std::string_view(*text).substr(minus)).value_or(0), most));
  const s64 value = minus ? -size : size;
  if (value >= least && value <= 0xffff) return value;
  line.outcomes.refused(key_of(given, key, *text), fmt::format("expected {} to 65535; change it", least));
  return std::nullopt;
}

}  // namespace

void read_fw_cfg(Line& line, const Given& given) {
  auto values = read_list(line, given, "name");
  if (!values) return;
  const auto take = [&](const char* key) { return values->take(key).value_or(""); };
  const std::string name = take("name"), file = take("file"), text = take("string"), object = take("gen_id");
  const std::size_t before = line.outcomes.all().size();
  refuse_unknown_keys(line, given, *values);
  if (line.outcomes.all().size() != before) return;
  if (name.empty() || !file.empty() + !text.empty() + !object.empty() != 1)
    return line.outcomes.refused(given.text(), "expected a name, and one of file and string; give them");
  if (!object.empty())
    return line.outcomes.refused(key_of(given, "gen_id", object),
                                 "expected file or string: no object makes files here");
  add_file(line, given, {name, file, text});
}

/// The order of drives is for boards whose firmware looks there.
void read_boot(Line& line, const Given& given) {
  auto values = read_list(line, given, "order");
  if (!values) return;
  machine::FirmwareOptions& options = line.firmware_options;
  const auto told = [&](std::string_view key) { line.outcomes.mapped(given.text(), fmt::format("{} in fw_cfg", key)); };
  if (const auto on = read_bool(line, given, *values, "menu")) {
    options.boot_menu = *on;
    told("menu");
  }
  if (const auto wait = read_wait(line, given, *values, "splash-time", 0)) {
    options.menu_wait_ms = static_cast<u16>(*wait);
    told("splash-time");
  }
  if (const auto wait = read_wait(line, given, *values, "reboot-timeout", -1)) {
    options.fail_wait_ms = static_cast<u32>(*wait);
    told("reboot-timeout");
  }
  if (const auto on = read_bool(line, given, *values, "strict")) {
    line.strict_boot = *on;
    told("strict");
  }
  const bool others = !values->left().empty();
  if (check_keys(line, given, *values, "order=order,splash=text") && others)
    line.outcomes.ignored(given.text(), "firmware of this board looks for no such order, and nothing shows a picture");
}

/// QEMU makes tables for firmware, which hands them on.
void read_smbios(Line& line, const Given& given) {
  if (check_shape(line, given, "type=number,...")) line.smbios.push_back(given);
}

}  // namespace armvisor::qemu
