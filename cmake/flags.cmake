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
  # docs/security.md says what each is for; tests/hostile/hardening_test.py reads them in the files.
  include(CheckCCompilerFlag)
  add_compile_options(-fstack-protector-strong -U_FORTIFY_SOURCE)
  foreach(flag -fstack-clash-protection -fcf-protection=full -ftrivial-auto-var-init=zero)
    string(MAKE_C_IDENTIFIER "has${flag}" has_flag)
    check_c_compiler_flag(${flag} ${has_flag})
    if(${has_flag})
      add_compile_options(${flag})
    endif()
  endforeach()
  check_c_compiler_flag("-O2 -Werror -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3" has_fortify_3)
  add_compile_options(-D_FORTIFY_SOURCE=$<IF:$<BOOL:${has_fortify_3}>,3,2>)
  add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code)
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
