#include "engine/jit/services.h"

#include "engine/debug_stops.h"
#include "engine/jit/side_tables.h"
#include "engine/uop_functions.h"
#include "engine/vcpu.h"

namespace armvisor::engine::jit {
namespace {

/// Generated code calls for this instruction.
const Uop* enter_service(Context* c, u64 uop) {
  const Uop* const u = reinterpret_cast<const Uop*>(uop);
  c->dispatch.at = u;
  c->dispatch.block = block_of(*u);
  return u;
}

/// An access was not made: it faults, or a debugger stops the vCPU before it.
void raise_fault(Context* c) {
  c->dispatch.raised = static_cast<u32>(c->stops->pending() ? Leave::Bkpt : Leave::Fault);
}

u64 service_load(Context* c, u64 va, u64 uop, u64) {
  const Uop* u = enter_service(c, uop);
  u64 value = 0;
  if (!c->memory->load(static_cast<u32>(va), u->attr, u->attr2, value)) raise_fault(c);
  return value;
}

u64 service_store(Context* c, u64 va, u64 uop, u64 value) {
  const Uop* u = enter_service(c, uop);
  if (!c->memory->store(static_cast<u32>(va), u->attr, u->attr2, value)) raise_fault(c);
  return 0;
}

u64 service_window_load(Context* c, u64 va, u64 uop, u64) {
  const u64 value = service_load(c, va, uop, 0);
  if (!c->dispatch.raised)
    c->windows->missed(static_cast<u32>(va), c->dispatch.at->attr & ir::MemAttr::size_mask, false);
  return value;
}

u64 service_window_store(Context* c, u64 va, u64 uop, u64 value) {
  service_store(c, va, uop, value);
  if (!c->dispatch.raised)
    c->windows->missed(static_cast<u32>(va), c->dispatch.at->attr & ir::MemAttr::size_mask, true);
  return 0;
}

u64 run_helper(Context* c, u64 uop, Leave raises) {
  const Uop* u = enter_service(c, uop);
  c->counters.add(measure::Counter::CodeHelper);
  if (helper_by_number(u->helper_number)(*c, *u)) return 0;
  if (raises == Leave::Fault)
    raise_fault(c);
  else
    c->dispatch.raised = static_cast<u32>(raises);
  return 0;
}

u64 service_sync(Context* c, u64, u64, u64) {
  c->vcpu->resync();
  return 0;
}

u64 service_return(Context* c, u64 pc, u64, u64 psr) {
  c->vcpu->return_from_exception(static_cast<u32>(pc), static_cast<u32>(psr));
  return 0;
}

/// The vector, with CPSR.T in bit 0.
u64 service_abort(Context* c, u64, u64, u64) {
  c->vcpu->enter_data_abort();
  return c->guest.r[15] | u32{c->guest.thumb()};
}

u64 service_svc(Context* c, u64 next, u64, u64) {
  c->vcpu->supervisor_call(static_cast<u32>(next));
  return 0;
}

}  // namespace

u64 service_helper(Context* c, u64, u64 uop, u64) { return run_helper(c, uop, Leave::Fault); }
u64 service_trap(Context* c, u64, u64 uop, u64) { return run_helper(c, uop, Leave::Undefined); }

const Services k_services = {service_load, service_store, service_window_load, service_window_store, service_helper,
                             service_trap, service_sync,  service_return,      service_abort,        service_svc};

}  // namespace armvisor::engine::jit
