//! Borrowed things of the double.

use std::marker::PhantomData;
use std::ops::Deref;
use std::rc::Rc;

/// What `&'a T` is inside a component: shared, since a test builds the thing a hook borrows.
#[derive(Debug)]
pub(crate) struct Handle<'a, T> {
    shared: Rc<T>,
    borrow: PhantomData<&'a T>,
}

impl<T> Handle<'_, T> {
    pub(crate) fn new(value: T) -> Self {
        Self { shared: Rc::new(value), borrow: PhantomData }
    }
}

impl<T> Deref for Handle<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.shared
    }
}
