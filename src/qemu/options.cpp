#include "qemu/options.h"

#include <algorithm>

#include "qemu/value_kinds.h"

namespace armvisor::qemu {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_in_id(char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'; }

constexpr OptionRow k_rows[] = {
#define OPTION(name, value, reader, help) {name, value, reader, Fate::Mapped, {}, help},
#define SHORT(name, other)
#define IGNORED(name, value, shape, why) {name, value, nullptr, Fate::Ignored, shape, why},
#define REFUSED(name, value, why) {name, value, nullptr, Fate::Refused, {}, why},
#include "qemu/options.inc"
#undef OPTION
#undef SHORT
#undef IGNORED
#undef REFUSED
};

constexpr std::string_view k_takes_json[] = {"audiodev", "blockdev", "device", "display", "netdev", "object"};

struct ShortName {
  std::string_view name, other;
};
constexpr ShortName k_short_names[] = {
#define OPTION(name, value, reader, help)
#define SHORT(name, other) {name, other},
#define IGNORED(name, value, shape, why)
#define REFUSED(name, value, why)
#include "qemu/options.inc"
#undef OPTION
#undef SHORT
#undef IGNORED
#undef REFUSED
};

void apply(Line& line, const OptionRow& row, const Given& given) {
  if (row.reader) return row.reader(line, given);
  if (row.fate == Fate::Ignored) {
    if (!row.shape.empty() && is_help(given.value)) line.help = "";
    if (check_shape(line, given, row.shape)) line.outcomes.ignored(given.text(), std::string(row.text));
    return;
  }
  line.outcomes.refused(given.text(), std::string(row.text) + "; leave it out");
}

}  // namespace

bool is_id(std::string_view text) {
  return !text.empty() && is_letter(text.front()) && std::ranges::all_of(text, is_in_id);
}

std::span<const OptionRow> option_rows() { return k_rows; }

const OptionRow* find_option(std::string_view name) {
  const auto short_name = std::ranges::find(k_short_names, name, &ShortName::name);
  if (short_name != std::end(k_short_names)) name = short_name->other;
  const auto row = std::ranges::find(k_rows, name, &OptionRow::name);
  return row == std::end(k_rows) ? nullptr : &*row;
}

std::string key_of(const Given& given, std::string_view key, std::string_view value) {
  if (given.name.empty()) return given.value;
  return "-" + given.name + " " + std::string(key) + (value.empty() ? "" : "=" + std::string(value));
}

std::optional<KeyValues> read_list(Line& line, const Given& given, std::string_view implied) {
  if (given.value.starts_with('{') && std::ranges::find(k_takes_json, given.name) == std::end(k_takes_json)) {
    line.outcomes.refused(given.text(), "expected a list of KEY=VALUE: QEMU takes no JSON here; change it");
    return std::nullopt;
  }
  auto values = KeyValues::parse(given.value, implied);
  if (values) return *std::move(values);
  line.outcomes.refused(given.text(), values.error().message);
  return std::nullopt;
}

bool read_id(Line& line, const Given& given, KeyValues& values, std::string_view key, IdKind kind, bool needed,
             std::string& id) {
  const auto text = values.take(key);
  if (!text) {
    if (needed)
      line.outcomes.refused(
          given.text(), "expected " + std::string(key) + "=ID, by which others refer to it, found none; give it one");
    return !needed;
  }
  id = *text;
  if (!is_id(id)) {
    line.outcomes.refused(key_of(given, key, id),
                          "expected a name of letters, digits, '-', '.' and '_' that begins with a letter; change it");
    return false;
  }
  if (line.ids.claim(kind, id)) return true;
  line.outcomes.refused(key_of(given, key, id), "expected an id of its own, found that of another; change it");
  return false;
}

std::optional<bool> read_bool(Line& line, const Given& given, KeyValues& values, std::string_view key) {
  const auto text = values.take(key);
  if (!text) return std::nullopt;
  const auto value = parse_bool(*text);
  if (!value) line.outcomes.refused(key_of(given, key, *text), "expected on or off; change it");
  return value;
}

std::optional<devices::MacAddress> read_mac(Line& line, const Given& given, KeyValues& values, std::string_view key) {
  const auto text = values.take(key);
  if (!text) return std::nullopt;
  const auto mac = devices::parse_mac(*text);
  if (mac) return *mac;
  line.outcomes.refused(key_of(given, key, *text), "expected the address of one card, as 52:54:00:12:34:56; change it");
  return std::nullopt;
}

std::optional<std::string> read_value(Line& line, const Given& given, KeyValues& values, std::string_view key,
                                      std::string_view kind) {
  auto text = values.take(key);
  if (!text || is_value(kind, *text)) return text;
  line.outcomes.refused(key_of(given, key, *text), "expected " + values_text(kind) + "; change it");
  return std::nullopt;
}

bool check_file_name(Line& line, const Given& given) {
  if (!given.value.empty()) return true;
  line.outcomes.refused(given.text(), "expected the name of a file, found nothing; name one or leave it out");
  return false;
}

bool check_keys(Line& line, const Given& given, KeyValues& values, std::string_view text) {
  const ListShape shape = ListShape::parse(text);
  const std::size_t before = line.outcomes.all().size();
  for (const auto& [name, kind] : shape.keys) read_value(line, given, values, name, kind);
  if (!shape.others) refuse_unknown_keys(line, given, values);
  return line.outcomes.all().size() == before;
}

bool check_shape(Line& line, const Given& given, std::string_view text) {
  const ListShape shape = ListShape::parse(text);
  if (!shape.whole.empty() && !is_value(shape.whole, given.value)) {
    line.outcomes.refused(given.text(), "expected " + values_text(shape.whole) + "; change it");
    return false;
  }
  if (shape.keys.empty()) return true;
  auto values = read_list(line, given, shape.implied);
  return values && check_keys(line, given, *values, text);
}

void ignore_keys(Line& line, const Given& given, KeyValues& values, std::initializer_list<std::string_view> keys,
                 std::string_view why) {
  for (const std::string_view key : keys)
    if (const auto value = values.take(key)) line.outcomes.ignored(key_of(given, key, *value), std::string(why));
}

void refuse_unknown_keys(Line& line, const Given& given, const KeyValues& values) {
  for (const auto& [key, value] : values.left())
    line.outcomes.refused(key_of(given, key, value), "expected a key that is known here; leave it out");
}

Line read_line(const std::vector<std::string>& arguments) {
  Line line;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word.size() < 2 || word[0] != '-') {
      read_disk_image(line, {{}, word});
      continue;
    }
    Given given{word.substr(word[1] == '-' ? 2 : 1), {}};
    const OptionRow* const row = find_option(given.name);
    if (!row) {
      line.outcomes.refused(word, "expected an option of QEMU, found none of that name; '-help' lists them");
      continue;
    }
    if (!row->value.empty()) {
      if (i + 1 == arguments.size()) {
        line.outcomes.refused(word, "expected " + std::string(row->value) + " behind it, found the end; add it");
        continue;
      }
      given.value = arguments[++i];
    }
    apply(line, *row, given);
  }
  return line;
}

Drive* Line::drive(std::string_view id) {
  const auto at = std::ranges::find(drives, id, &Drive::id);
  return at == drives.end() ? nullptr : &*at;
}
Netdev* Line::netdev(std::string_view id) {
  const auto at = std::ranges::find(netdevs, id, &Netdev::id);
  return at == netdevs.end() ? nullptr : &*at;
}
Share* Line::share(std::string_view id) {
  const auto at = std::ranges::find(shares, id, &Share::id);
  return at == shares.end() ? nullptr : &*at;
}
Chardev* Line::chardev(std::string_view id) {
  const auto at = std::ranges::find(chardevs, id, &Chardev::id);
  return at == chardevs.end() ? nullptr : &*at;
}

}  // namespace armvisor::qemu
