#include "monitor/schema.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"

namespace armvisor::monitor {
namespace {

using Json = nlohmann::ordered_json;

/// The words of a list with spaces between them.
std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> all;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end) all.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return all;
}

struct Definition {
  std::string_view name, parts;
  bool is_enum;
};
constexpr Definition k_definitions[] = {
#define ENUM(name, values) {name, values, true},
#define OBJECT(name, members) {name, members, false},
#include "monitor/qmp_types.inc"
#undef ENUM
#undef OBJECT
};

constexpr std::pair<std::string_view, std::string_view> k_builtins[] = {
    {"str", "string"}, {"int", "int"}, {"bool", "boolean"}, {"any", "value"}};

class Schema {
 public:
  void command(std::string_view name, std::string_view arguments, std::string_view returns) {
    Json j{{"name", name}, {"ret-type", returns.empty() ? object("") : type(returns)}, {"meta-type", "command"}};
    j["arg-type"] = object(arguments);
    spoken_.push_back(std::move(j));
  }
  void event(std::string_view name, std::string_view arguments) {
    spoken_.push_back({{"name", name}, {"meta-type", "event"}, {"arg-type", object(arguments)}});
  }
  Json all() const {
    Json list = spoken_;
    for (const Json& one : types_) list.push_back(one);
    return list;
  }

 private:
  /// What a type is called. It is in the list when this returns, but for members of one that refers to itself.
  std::string type(std::string_view text) {
    if (text.starts_with('[')) return list(text.substr(1, text.size() - 2));
    for (const auto& [name, json] : k_builtins)
      if (name == text) return builtin(name, json);
    const auto row = std::ranges::find(k_definitions, text, &Definition::name);
    AV_ASSERT(row != std::end(k_definitions));
    if (const auto known = names_.find(std::string(text)); known != names_.end()) return known->second;
    return row->is_enum ? enumeration(*row) : object(row->parts, row->name);
  }

  std::string list(std::string_view element) {
    const std::string of = type(element), name = "[" + of + "]";
    if (names_.emplace(name, name).second)
      types_.push_back({{"name", name}, {"element-type", of}, {"meta-type", "array"}});
    return name;
  }

  std::string builtin(std::string_view name, std::string_view json) {
    if (names_.emplace(name, name).second)
      types_.push_back({{"name", name}, {"meta-type", "builtin"}, {"json-type", json}});
    return std::string(name);
  }

  std::string enumeration(const Definition& row) {
    const std::string name = number(row.name);
    Json members = Json::array(), values = Json::array();
    for (const std::string_view value : words(row.parts)) {
      members.push_back({{"name", value}});
      values.push_back(value);
    }
    types_.push_back({{"name", name}, {"meta-type", "enum"}, {"members", members}, {"values", values}});
    return name;
  }

  /// One without a name of its own is known by its members.
  std::string object(std::string_view parts, std::string_view own_name = {}) {
    const std::string key(own_name.empty() ? "{" + std::string(parts) : own_name);
    if (const auto known = names_.find(key); known != names_.end()) return known->second;
    const std::string name = number(key);
    const std::size_t place = types_.size();
    types_.push_back(nullptr);
    Json members = Json::array();
    for (std::string_view part : words(parts)) {
      const std::size_t colon = part.find(':');
      const bool optional = part[colon - 1] == '?';
      Json member{{"name", part.substr(0, colon - optional)}};
      if (optional) member["default"] = nullptr;
      member["type"] = type(part.substr(colon + 1));
      members.push_back(std::move(member));
    }
    types_[place] = {{"name", name}, {"members", members}, {"meta-type", "object"}};
    return name;
  }

  std::string number(std::string_view key) { return names_.emplace(key, std::to_string(numbers_++)).first->second; }

  Json spoken_ = Json::array();
  std::vector<Json> types_;
  std::map<std::string, std::string> names_;
  unsigned numbers_ = 0;
};

}  // namespace

Json qmp_schema() {
  Schema schema;
#define QMP(name, function, arguments, returns) schema.command(name, arguments, returns);
#define CONSTANT(name, answer, returns) schema.command(name, "", returns);
#define EVENT(name, arguments) schema.event(name, arguments);
#define NOT_HERE(name, why)
#include "monitor/qmp_commands.inc"
#undef QMP
#undef CONSTANT
#undef EVENT
#undef NOT_HERE
  return schema.all();
}

}  // namespace armvisor::monitor
