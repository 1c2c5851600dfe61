#include "qemu/json_pairs.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <set>

namespace armvisor::qemu {
namespace {

using Json = nlohmann::json;
using Pairs = std::vector<std::pair<std::string, std::string>>;

constexpr std::size_t k_deepest = 16;

/// Reads JSON event by event; each handler returns whether to go on.
class Flattener : public nlohmann::json_sax<Json> {
 public:
  Pairs pairs;
  std::string fault;

  bool null() override { return value("null"); }
  bool boolean(bool on) override { return value(on ? "on" : "off"); }
  bool number_integer(number_integer_t n) override { return value(std::to_string(n)); }
  bool number_unsigned(number_unsigned_t n) override { return value(std::to_string(n)); }
  bool number_float(number_float_t, const string_t& text) override { return value(text); }
  bool string(string_t& text) override { return value(text); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return enter(false); }
  bool start_array(std::size_t) override { return levels_.empty() ? fail("found a list") : enter(true); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }

  bool key(string_t& name) override {
    if (!levels_.back().keys.insert(name).second) return fail(fmt::format("found '{}' twice", name));
    key_ = name;
    return true;
  }

  bool parse_error(std::size_t position, const std::string& last, const Json::exception&) override {
    return fail(fmt::format("found none at character {}, behind '{}'", position, last));
  }

 private:
  struct Level {
    std::string prefix;
    bool list;
    std::size_t members = 0;
    std::set<std::string> keys;
  };

  bool fail(std::string what) {
    if (fault.empty()) fault = std::move(what);
    return false;
  }
  std::string name() {
    Level& level = levels_.back();
    return level.prefix + (level.list ? std::to_string(level.members++) : key_);
  }
  bool value(const std::string& text) {
    if (levels_.empty()) return fail("found a single value");
    pairs.emplace_back(name(), text);
    return true;
  }
  bool enter(bool list) {
    if (levels_.size() == k_deepest) return fail("found one of more than 16 levels");
    levels_.push_back({levels_.empty() ? "" : name() + ".", list, 0, {}});
    return true;
  }
  bool leave() {
    levels_.pop_back();
    return true;
  }

  std::vector<Level> levels_;
  std::string key_;
};

/// Strings in single quotes become such in double quotes.
std::string standard_quotes(std::string_view text) {
  std::string out;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && quote && i + 1 < text.size()) {
      const char next = text[++i];
      if (next != '\'') out += '\\';
      out += next;
    } else if (!quote && (c == '"' || c == '\'')) {
      quote = c;
      out += '"';
    } else if (c == quote) {
      quote = 0;
      out += '"';
    } else {
      if (c == '"') out += '\\';
      out += c;
    }
  }
  return out;
}

}  // namespace

Result<Pairs> json_pairs(std::string_view text) {
  Flattener flattener;
  if (Json::sax_parse(standard_quotes(text), &flattener)) return std::move(flattener.pairs);
  return Error{ErrorKind::BadArguments, "expected a JSON object, " + flattener.fault + "; change it"};
}

}  // namespace armvisor::qemu
