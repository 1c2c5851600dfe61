#pragma once
// The files of a shared folder that the guest has fids of, each by a descriptor that names it and opens nothing
// (O_PATH).
//
// Nothing outside the folder can be named: a file is reached from the folder by one name at a time, which has no '/'
// and is not "..", relative to the descriptor of its parent, and symbolic links are files like others here
// (O_NOFOLLOW). So it does not matter what links say, or what others do to the folder meanwhile. Where the kernel has
// openat2(2), it holds us to that as well (RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS).
//
// Descriptors are bounded: those used least lately are closed between requests, and opened again by parent and name
// when they are wanted. What is there then must be a file of the same number and kind, or it is ESTALE. The host may
// have given the number to another file meanwhile, so what may be opened is asked of the descriptor itself. One thread
// uses a tree; errors are those of errno, 0 for none.
#include <sys/stat.h>

#include <compare>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/types.h"

namespace armvisor::devices::ninep {

/// What tells a file from all others of the host.
struct FileId {
  u64 device = 0, inode = 0;
  auto operator<=>(const FileId&) const = default;
};

struct Attributes;
class Node;
class NodeTree;

/// Nodes by file, then by the file of their folder, their name, and the node of their folder.
using NodeIndex = std::multimap<std::tuple<FileId, FileId, std::string_view, const Node*>, Node*>;

/// A file that somebody refers to. It keeps those that it is in.
class Node {
 public:
  const FileId& id() const { return id_; }
  u32 kind() const { return kind_; }  ///< the bits S_IFMT of its mode on the host
  bool is_folder() const { return S_ISDIR(kind_); }
  bool is_regular() const { return S_ISREG(kind_); }
  const Node* parent() const { return parent_; }  ///< null: the shared folder itself
  const std::string& name() const { return name_; }
  bool has_name() const { return named_; }  ///< false: the guest has taken it away, or given it to another file
  /// What was said of the file under the name that it has lost; null: nothing.
  const std::shared_ptr<Attributes>& said() const { return said_; }

 private:
  friend class NodeTree;
  friend class NodeRef;
  NodeTree& tree_;
  Node* parent_;
  std::string name_;
  const FileId id_;
  const u32 kind_;
  u32 references_ = 0;
  bool named_ = true;
  bool kept_ = false;  ///< its descriptor stays open: it has lost its name
  std::shared_ptr<Attributes> said_;
  Fd fd_;
  std::list<Node*>::iterator place_;  ///< among those that are open, if fd_ is, and it is not kept
  NodeIndex::iterator indexed_;       ///< if it has a name, and is not the root

  Node(NodeTree& tree, Node* parent, std::string name, FileId id, u32 kind)
      : tree_(tree), parent_(parent), name_(std::move(name)), id_(id), kind_(kind) {}
};

class NodeRef {
 public:
  NodeRef() = default;
  NodeRef(const NodeRef& other) : NodeRef(other.node_) {}
  NodeRef(NodeRef&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
  NodeRef& operator=(NodeRef other) noexcept {
    std::swap(node_, other.node_);
    return *this;
  }
  ~NodeRef();
  Node* get() const { return node_; }
  Node* operator->() const { return node_; }
  Node& operator*() const { return *node_; }
  explicit operator bool() const { return node_ != nullptr; }

 private:
  friend class NodeTree;
  explicit NodeRef(Node* node) : node_(node) {
    if (node_) ++node_->references_;
  }
  Node* node_ = nullptr;
};

struct NodeTreeOptions {
  std::size_t most_open = 1024;  ///< descriptors of nodes between requests, beside those of files without a name
  std::size_t most_nodes = 262144;
  bool openat2 = true;  ///< used if the kernel has it
};

class NodeTree {
 public:
  using Options = NodeTreeOptions;

  static Result<std::unique_ptr<NodeTree>> create(const std::string& path, Options options = {});
  ~NodeTree();
  NodeTree(const NodeTree&) = delete;
  NodeTree& operator=(const NodeTree&) = delete;

  NodeRef root() { return NodeRef(root_); }
  /// The folder that a file is in; the shared one is in itself.
  NodeRef parent(const NodeRef& node) { return NodeRef(node->parent_ ? node->parent_ : node.get()); }
  /// The file of that name in a folder; "..": the folder that it is in, which of the shared one is itself. EMFILE:
  /// there are too many nodes.
  int walk(const NodeRef& folder, std::string_view name, NodeRef& found);
  /// A descriptor of a node, until the next trim(). Negative: an error.
  int descriptor(Node& node);
  /// Opens what a node is to read and write it: only folders and regular files; ENXIO for others, which may have a
  /// driver, or make their opener wait.
  int open(Node& node, int flags, Fd& opened);
  /// Opens a file of another name of the host's in a folder, which must be a regular one. (Metadata.)
  int open_in(int folder, const char* name, int flags, Fd& opened);
  /// A path for calls that take no descriptor: it leads to the file itself, even if that is a symbolic link.
  std::string path_of(int descriptor) const { return "/proc/self/fd/" + std::to_string(descriptor); }

  /// Before the name of `file`, which is in `folder`, may be taken away: opens what those who have it will keep.
  void prepare_to_lose(const FileId& folder, std::string_view name, const FileId& file);
  /// After it was: those who have the file keep it, if there is room for its descriptor, and what was said of it.
  void lost(const FileId& folder, std::string_view name, const FileId& file, std::shared_ptr<Attributes> said);
  /// After `file` was given another name, and maybe another folder.
  void moved(const FileId& folder, std::string_view name, const FileId& file, Node& new_folder,
             std::string_view new_name);
  /// Between requests.
  void trim();

  /// For tests and bounds.
  std::size_t nodes() const { return nodes_; }
  std::size_t open_nodes() const { return open_.size() + kept_; }

 private:
  friend class NodeRef;
  NodeTree(Fd root, Fd descriptors, Options options, FileId id);
  int step(int folder, const char* name, Fd& found) const;
  int open_regular(int descriptor, int flags, Fd& opened) const;
  int reopen(Node& node);
  void opened(Node& node, Fd fd);
  void release(Node* node);
  void index(Node& node);
  std::vector<Node*> named(const FileId& folder, std::string_view name, const FileId& file) const;
  static bool is_within(const Node& node, const Node& folder);
  Node* find(const Node& parent, std::string_view name, const FileId& id, u32 kind) const;

  const Options options_;
  const Fd descriptors_;  ///< /proc/self/fd
  std::size_t nodes_ = 0, kept_ = 0;
  std::list<Node*> open_;  ///< those used most lately first, without the root
  NodeIndex index_;        ///< of those that have a name, without the root
  Node* root_;
};

inline NodeRef::~NodeRef() {
  if (node_) node_->tree_.release(node_);
}

/// What tells a file from others, of what the host says of it.
inline FileId file_id(const struct stat& s) { return {s.st_dev, s.st_ino}; }

}  // namespace armvisor::devices::ninep
