#include "monitor/objects.h"

#include <algorithm>

namespace armvisor::monitor {
namespace {

using Json = nlohmann::ordered_json;
using Objects = std::vector<ObjectInfo>;

/// Without slashes that say nothing.
std::string plain(std::string_view path) {
  std::string text;
  for (const char c : path)
    if (c != '/' || text.empty() || text.back() != '/') text += c;
  if (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

bool is_child(const ObjectInfo& object, const std::string& of) {
  const std::string below = of == "/" ? of : of + "/";
  return object.path.size() > below.size() && object.path.starts_with(below) &&
         object.path.find('/', below.size()) == std::string::npos;
}

std::string last_part(const ObjectInfo& object) { return object.path.substr(object.path.rfind('/') + 1); }

Result<const ObjectInfo*> find(const Objects& objects, std::string_view text) {
  const std::string path = plain(text);
  const ObjectInfo* found = nullptr;
  for (const ObjectInfo& object : objects) {
    const bool is = path.starts_with('/') ? object.path == path : !path.empty() && object.path.ends_with("/" + path);
    if (!is) continue;
    if (found)
      return Error{ErrorKind::BadArguments, "Path '" + std::string(text) + "' does not uniquely identify an object"};
    found = &object;
  }
  if (!found) return Error{ErrorKind::BadInput, "Device '" + std::string(text) + "' not found"};
  return found;
}

void add_lines(const Objects& objects, const ObjectInfo& object, std::size_t depth, std::string& text) {
  text +=
      std::string(2 * depth, ' ') + (depth == 0 ? object.path : "/" + last_part(object)) + " (" + object.type + ")\n";
  std::vector<const ObjectInfo*> below;
  for (const ObjectInfo& other : objects)
    if (is_child(other, object.path)) below.push_back(&other);
  std::ranges::sort(below, {}, [](const ObjectInfo* o) { return o->path; });
  for (const ObjectInfo* const one : below) add_lines(objects, *one, depth + 1, text);
}

}  // namespace

Result<Json> list_object(const Objects& objects, std::string_view path) {
  AV_TRY_ASSIGN(const ObjectInfo* const object, find(objects, path));
  Json all = Json::array({{{"name", "type"}, {"type", "string"}}});
  for (const ObjectInfo::Property& p : object->properties) all.push_back({{"name", p.name}, {"type", p.type}});
  for (const ObjectInfo& other : objects)
    if (is_child(other, object->path))
      all.push_back({{"name", last_part(other)}, {"type", "child<" + other.type + ">"}});
  return all;
}

Result<Json> get_property(const Objects& objects, std::string_view path, std::string_view property) {
  AV_TRY_ASSIGN(const ObjectInfo* const object, find(objects, path));
  if (property == "type") return Json(object->type);
  for (const ObjectInfo::Property& p : object->properties)
    if (p.name == property) return Json::parse(p.value, nullptr, false);
  // A child is said by its path.
  for (const ObjectInfo& other : objects)
    if (is_child(other, object->path) && last_part(other) == property) return Json(other.path);
  return Error{ErrorKind::BadArguments, "Property '" + object->type + "." + std::string(property) + "' not found"};
}

std::string object_tree(const Objects& objects, const std::string& path) {
  const auto object = find(objects, path);
  if (!object) return "Path '" + path + "' could not be resolved.\n";
  std::string text;
  add_lines(objects, **object, 0, text);
  return text;
}

}  // namespace armvisor::monitor
