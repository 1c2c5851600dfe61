#include "exec/modules.h"

#include <algorithm>

#include "exec/unpack.h"

namespace armvisor::exec {
namespace {

constexpr u64 k_longest_list = u64{16} << 20, k_largest_module = u64{64} << 20;

template <class F>
void for_each_part(std::string_view text, char separator, F f) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(separator));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    if (!part.empty()) f(part);
  }
}

std::string_view text_of(const std::vector<u8>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

std::string module_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash != path.npos) path.remove_prefix(slash + 1);
  std::string name(path.substr(0, path.find(".ko")));
  std::ranges::replace(name, '-', '_');
  return name;
}

ModuleList::ModuleList(std::string_view dep, std::string_view builtin) {
  // PATH: PATH PATH...
  for_each_part(dep, '\n', [this](std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == line.npos) return;
    Module module{std::string(line.substr(0, colon)), {}};
    for_each_part(line.substr(colon + 1), ' ', [&](std::string_view p) { module.needs.push_back(module_name(p)); });
    modules_.emplace(module_name(module.path), std::move(module));
  });
  for_each_part(builtin, '\n', [this](std::string_view path) { builtin_.insert(module_name(path)); });
}

/// What a line names first needs what it names behind it: so the last of them is loaded first.
bool ModuleList::add(std::string_view name, std::vector<std::string>& order) const {
  const auto found = modules_.find(name);
  if (found == modules_.end()) return builtin_.contains(name);
  const auto load = [&order](const Module& m) {
    if (order.size() <= k_most && std::ranges::find(order, m.path) == order.end()) order.push_back(m.path);
  };
  const std::vector<std::string>& needs = found->second.needs;
  for (auto need = needs.rbegin(); need != needs.rend() && order.size() <= k_most; ++need) {
    const auto module = modules_.find(*need);
    if (module != modules_.end())
      load(module->second);
    else if (!builtin_.contains(*need))
      return false;
  }
  load(found->second);
  return true;
}

Result<ModuleFolder> ModuleFolder::open(Folder folder) {
  AV_TRY_ASSIGN(const std::vector<u8> dep, folder.read("modules.dep", k_longest_list));
  std::vector<u8> builtin;
  if (folder.has("modules.builtin")) {
    AV_TRY_ASSIGN(builtin, folder.read("modules.builtin", k_longest_list));
  }
  return ModuleFolder(std::move(folder), ModuleList(text_of(dep), text_of(builtin)));
}

Result<std::vector<u8>> ModuleFolder::read(const std::string& path) const {
  AV_TRY_ASSIGN(std::vector<u8> bytes, folder_.read(path, k_largest_module));
  return unpack(folder_.path() + "/" + path, std::move(bytes), k_largest_module);
}

}  // namespace armvisor::exec
