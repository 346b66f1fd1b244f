# Warnings, hardening and instrumentation that every target of ours is built with.
# The interface library keeps them off the third-party sources (llhttp).
add_library(todo_flags INTERFACE)
target_compile_options(todo_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wformat=2
  -Wundef -Wvla -Wcast-qual -Wwrite-strings -Wimplicit-fallthrough -Wpointer-arith
  -fno-omit-frame-pointer)
if(TODO_WERROR)
  target_compile_options(todo_flags INTERFACE -Werror)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  add_compile_options(-fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  add_link_options(-pie -Wl,-z,relro,-z,now)
endif()
if(TODO_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()
if(TODO_FUZZ)
  # Instruments everything; each fuzz target itself links with -fsanitize=fuzzer.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(TODO_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
