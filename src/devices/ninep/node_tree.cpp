#include "devices/ninep/node_tree.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <cerrno>
#include <vector>

#include "base/host_error.h"

namespace armvisor::devices::ninep {
namespace {

constexpr int k_name = O_PATH | O_NOFOLLOW | O_CLOEXEC;

bool can_be_opened(u32 mode) { return S_ISREG(mode) || S_ISDIR(mode); }

}  // namespace

Result<std::unique_ptr<NodeTree>> NodeTree::create(const std::string& path, Options options) {
  Fd root(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return file_error(path + ": expected a folder to share", errno, "name one");
  Fd descriptors(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!descriptors)
    return host_error(path + ": expected /proc, by which files of a shared folder are opened", errno, "mount it");
  struct stat s {};
  if (fstat(root.get(), &s) != 0)
    return file_error(path + ": expected to be told what it is", errno, "name another folder");
  return std::unique_ptr<NodeTree>(new NodeTree(std::move(root), std::move(descriptors), options, file_id(s)));
}

NodeTree::NodeTree(Fd root, Fd descriptors, Options options, FileId id)
    : options_(options), descriptors_(std::move(descriptors)) {
  root_ = new Node(*this, nullptr, {}, id, S_IFDIR);
  root_->references_ = 1;
  root_->fd_ = std::move(root);
  ++nodes_;
}

NodeTree::~NodeTree() { release(root_); }

/// One name, of which the caller has seen that it is one.
int NodeTree::step(int folder, const char* name, Fd& found) const {
  if (options_.openat2) {
    struct open_how how {};
    how.flags = k_name;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    found = Fd(static_cast<int>(syscall(SYS_openat2, folder, name, &how, sizeof how)));
    if (found) return 0;
    if (errno != ENOSYS && errno != EPERM) return errno;  // EPERM: a filter of system calls that knows nothing newer
  }
  found = Fd(openat(folder, name, k_name));
  return found ? 0 : errno;
}

int NodeTree::walk(const NodeRef& folder, std::string_view name, NodeRef& found) {
  if (name == "..") {
    found = parent(folder);
    return 0;
  }
  const int fd = descriptor(*folder);
  if (fd < 0) return -fd;
  std::string text(name);
  Fd file;
  if (const int error = step(fd, text.c_str(), file)) return error;
  struct stat s {};
  if (fstat(file.get(), &s) != 0) return errno;
  Node* node = find(*folder, name, file_id(s), s.st_mode & S_IFMT);
  if (!node) {
    if (nodes_ >= options_.most_nodes) return EMFILE;
    node = new Node(*this, folder.get(), std::move(text), file_id(s), s.st_mode & S_IFMT);
    ++folder->references_;
    ++nodes_;
    index(*node);
  }
  found = NodeRef(node);
  if (!node->fd_) opened(*node, std::move(file));
  return 0;
}

void NodeTree::index(Node& node) {
  node.indexed_ = index_.emplace(NodeIndex::key_type(node.id_, node.parent_->id_, node.name_, node.parent_), &node);
}

Node* NodeTree::find(const Node& parent, std::string_view name, const FileId& id, u32 kind) const {
  const auto [begin, end] = index_.equal_range({id, parent.id_, name, &parent});
  for (auto at = begin; at != end; ++at)
    if (at->second->kind_ == kind) return at->second;
  return nullptr;
}

/// Those of a file under one of its names; several, if its folder was reached in several ways.
std::vector<Node*> NodeTree::named(const FileId& folder, std::string_view name, const FileId& file) const {
  std::vector<Node*> all;
  for (auto at = index_.lower_bound({file, folder, name, nullptr}); at != index_.end(); ++at) {
    const Node& node = *at->second;
    if (node.id_ != file || node.parent_->id_ != folder || node.name_ != name) break;
    all.push_back(at->second);
  }
  return all;
}

void NodeTree::opened(Node& node, Fd fd) {
  node.fd_ = std::move(fd);
  open_.push_front(&node);
  node.place_ = open_.begin();
}

int NodeTree::descriptor(Node& node) {
  if (!node.fd_) {
    if (const int error = reopen(node)) return -error;
  } else if (&node != root_ && !node.kept_) {
    open_.splice(open_.begin(), open_, node.place_);
  }
  return node.fd_.get();
}

int NodeTree::reopen(Node& node) {
  std::vector<const Node*> way;
  const Node* from = &node;
  for (; !from->fd_; from = from->parent_) {  // the root's is always open
    if (!from->named_) return ESTALE;
    way.push_back(from);
  }
  Fd at;
  for (auto next = way.rbegin(); next != way.rend(); ++next) {
    Fd found;
    const int folder = at ? at.get() : from->fd_.get();
    if (const int error = step(folder, (*next)->name_.c_str(), found)) return error == ENOENT ? ESTALE : error;
    at = std::move(found);
  }
  struct stat s {};
  if (fstat(at.get(), &s) != 0) return errno;
  if (file_id(s) != node.id_ || (s.st_mode & S_IFMT) != node.kind_) return ESTALE;
  opened(node, std::move(at));
  return 0;
}

int NodeTree::open(Node& node, int flags, Fd& opened) {
  if (!can_be_opened(node.kind_)) return ENXIO;
  const int fd = descriptor(node);
  if (fd < 0) return -fd;
  return open_regular(fd, flags, opened);
}

/// Of a descriptor that opens nothing: what it is cannot change until it is opened.
int NodeTree::open_regular(int descriptor, int flags, Fd& opened) const {
  struct stat s {};
  if (fstat(descriptor, &s) != 0) return errno;
  if (!can_be_opened(s.st_mode)) return S_ISLNK(s.st_mode) ? ELOOP : ENXIO;
  opened =
      Fd(openat(descriptors_.get(), std::to_string(descriptor).c_str(), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  return opened ? 0 : errno;
}

int NodeTree::open_in(int folder, const char* name, int flags, Fd& opened) {
  Fd file;
  if (const int error = step(folder, name, file)) return error;
  return open_regular(file.get(), flags, opened);
}

/// By what is known here, which may be older than what others did to the folder.
bool NodeTree::is_within(const Node& node, const Node& folder) {
  for (const Node* at = &node; at; at = at->parent_)
    if (at == &folder) return true;
  return false;
}

void NodeTree::prepare_to_lose(const FileId& folder, std::string_view name, const FileId& file) {
  std::size_t room = options_.most_open - kept_;
  for (Node* const node : named(folder, name, file)) {
    if (room == 0) return;
    if (descriptor(*node) >= 0) --room;
  }
}

void NodeTree::lost(const FileId& folder, std::string_view name, const FileId& file, std::shared_ptr<Attributes> said) {
  for (Node* const node : named(folder, name, file)) {
    index_.erase(node->indexed_);
    node->named_ = false;
    node->said_ = said;
    if (!node->fd_ || kept_ >= options_.most_open) continue;
    open_.erase(node->place_);
    node->kept_ = true;
    ++kept_;
  }
}

void NodeTree::moved(const FileId& folder, std::string_view name, const FileId& file, Node& new_folder,
                     std::string_view new_name) {
  std::vector<Node*> left;
  for (Node* const node : named(folder, name, file)) {
    if (is_within(new_folder, *node)) continue;
    index_.erase(node->indexed_);
    ++new_folder.references_;
    left.push_back(std::exchange(node->parent_, &new_folder));
    node->name_ = new_name;
    index(*node);
  }
  for (Node* const parent : left) release(parent);
}

void NodeTree::trim() {
  while (open_.size() > options_.most_open) {
    open_.back()->fd_.reset();
    open_.pop_back();
  }
}

/// Ends a reference. A node without any ends its own to its parent, and so on: not by recursion, since a guest may make
/// folders as deep as it likes.
void NodeTree::release(Node* node) {
  while (node && --node->references_ == 0) {
    Node* const parent = node->parent_;
    if (node->kept_)
      --kept_;
    else if (node->fd_ && parent)
      open_.erase(node->place_);
    if (node->named_ && parent) index_.erase(node->indexed_);
    delete node;
    --nodes_;
    node = parent;
  }
}

}  // namespace armvisor::devices::ninep
