//! `on_demand!`: functions that are linked only with a program that uses them.

/// Declares methods that reach others by a table of pointers, and by it alone: `Dispatcher[m.filled]` says where the table is from
/// its first use on, `Some(&FUNCTIONS)`. A program in which that is never written does not link what they call.
///
/// `fn name[&mut](index: u32) -> bool = target;` calls `self.target(index)`. Without the table it does nothing, and returns the
/// default of its type.
macro_rules! on_demand {
    ($machine:ident $table:tt; $(
        $(#[$attribute:meta])*
        $vis:vis fn $name:ident[$($receiver:tt)+]($($argument:ident: $type:ty),*) $(-> $result:ty)? = $target:ident;
    )+) => {
        /// Pointers to what is linked on demand.
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct Functions {
            $($name: fn($($receiver)+ $machine<'_>, $($type),*) $(-> $result)?,)+
        }

        const FUNCTIONS: Functions = Functions {
            $($name: |machine, $($argument),*| machine.$target($($argument),*),)+
        };

        impl $machine<'_> {
            $($(#[$attribute])*
            $vis fn $name($($receiver)+ self, $($argument: $type),*) $(-> $result)? {
                match on_demand!(@ self $table) {
                    Some(functions) => (functions.$name)(self, $($argument),*),
                    None => Default::default(),
                }
            })+
        }
    };
    (@ $machine:ident [$($field:ident).+]) => { $machine.$($field).+ };
}
pub(crate) use on_demand;
