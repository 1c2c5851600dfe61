#include "qemu/words.h"

#include <charconv>
#include <cmath>

#include "qemu/json_pairs.h"

namespace armvisor::qemu {
namespace {

/// Reads up to a comma that stands alone, or the end; `at` is behind it then.
std::string read_element(std::string_view text, std::size_t& at) {
  std::string element;
  for (; at < text.size(); ++at) {
    if (text[at] == ',') {
      if (at + 1 == text.size() || text[at + 1] != ',') break;
      ++at;
    }
    element += text[at];
  }
  if (at < text.size()) ++at;
  return element;
}

KeyValues::Pair word_alone(const std::string& word) {
  if (word.size() > 2 && word.starts_with("no")) return {word.substr(2), "off"};
  return {word, "on"};
}

}  // namespace

std::string Given::text() const {
  if (name.empty()) return value;
  return "-" + name + (value.empty() ? "" : " " + value);
}

Result<KeyValues> KeyValues::parse(std::string_view text, std::string_view implied) {
  KeyValues result;
  if (text.starts_with('{')) {
    AV_TRY_ASSIGN(result.pairs_, json_pairs(text));
    return result;
  }
  for (std::size_t at = 0; at < text.size();) {
    const bool first = at == 0;
    const std::string element = read_element(text, at);
    const std::size_t equals = element.find('=');
    if (equals != std::string::npos)
      result.pairs_.emplace_back(element.substr(0, equals), element.substr(equals + 1));
    else if (first && !implied.empty())
      result.pairs_.emplace_back(implied, element);
    else if (!element.empty())
      result.pairs_.push_back(word_alone(element));
  }
  return result;
}

std::optional<std::string> KeyValues::take(std::string_view key) {
  std::vector<std::string> all = take_all(key);
  if (all.empty()) return std::nullopt;
  return std::move(all.back());
}

std::vector<std::string> KeyValues::take_all(std::string_view key) {
  std::vector<std::string> values;
  std::erase_if(pairs_, [&](Pair& p) {
    if (p.first != key) return false;
    values.push_back(std::move(p.second));
    return true;
  });
  return values;
}

const std::string* KeyValues::find(std::string_view key) const {
  const std::string* found = nullptr;
  for (const Pair& p : pairs_)
    if (p.first == key) found = &p.second;
  return found;
}

bool is_help(std::string_view text) { return text == "help" || text == "?"; }

std::optional<bool> parse_bool(std::string_view text) {
  for (const std::string_view yes : {"on", "yes", "true", "y"})
    if (text == yes) return true;
  for (const std::string_view no : {"off", "no", "false", "n"})
    if (text == no) return false;
  return std::nullopt;
}

std::optional<u64> parse_unsigned(std::string_view text) {
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  if (hex) text.remove_prefix(2);
  u64 value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<u64> parse_size(std::string_view text, unsigned default_shift) {
  if (text.starts_with("0x") || text.starts_with("0X")) {
    const auto value = parse_unsigned(text);
    if (!value || *value > (~u64{0} >> default_shift)) return std::nullopt;
    return *value << default_shift;
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  unsigned shift = default_shift;
  if (unit.size() == 1) {
    const std::size_t at = std::string_view("bkmgtpe").find(static_cast<char>(unit[0] | 0x20));
    if (at == std::string_view::npos) return std::nullopt;
    shift = static_cast<unsigned>(at) * 10;
  }
  if (error != std::errc() || unit.size() > 1 || !(value >= 0)) return std::nullopt;
  value = std::ldexp(value, static_cast<int>(shift));
  if (value >= 0x1p63) return std::nullopt;
  return static_cast<u64>(value);
}

}  // namespace armvisor::qemu
